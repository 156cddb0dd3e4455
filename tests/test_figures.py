import re
from functools import partial

import numpy as np
import pytest
from PIL import Image

from jpegdl.analysis.figures import (
    colour_at,
    difference_picture,
    display_picture,
    gradient_css,
    heat_picture,
    mass_normalised,
    overlay_picture,
    residual_picture,
)

DARKEST_VIRIDIS, BRIGHTEST_VIRIDIS = (68, 1, 84), (253, 231, 37)
JET_ENDS = (0, 0, 128), (128, 0, 0)


def pixels(picture: Image.Image) -> np.ndarray:
    assert picture.mode == "RGB"
    return np.asarray(picture).astype(int)


def luminance(rgb: np.ndarray) -> np.ndarray:
    """Relative luminance of sRGB colours 0..255 (IEC 61966-2-1)."""
    share = np.asarray(rgb) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


def flat(*colour: float, side: int = 8) -> np.ndarray:
    return np.broadcast_to(np.array(colour)[:, None, None], (3, side, side))


def test_mass_normalised_map_sums_to_one_and_keeps_ratios():
    result = mass_normalised([[1, 3], [0, 4]])
    assert result.tolist() == [[1 / 8, 3 / 8], [0, 1 / 2]]


def test_mass_normalised_zeros_stay_zeros():
    assert mass_normalised(np.zeros((7, 7))).tolist() == np.zeros((7, 7)).tolist()


@pytest.mark.parametrize("bad", [-1.0, np.nan, np.inf])
def test_mass_normalised_refuses_what_has_no_mass(bad):
    with pytest.raises(ValueError, match="finite and >= 0"):
        mass_normalised([[1.0, bad]])


def test_heat_runs_from_the_darkest_to_the_brightest_viridis():
    picture = pixels(heat_picture([[0, 2], [2, 0]], maximum=2, size=2))
    assert picture.tolist() == [[[*DARKEST_VIRIDIS], [*BRIGHTEST_VIRIDIS]], [[*BRIGHTEST_VIRIDIS], [*DARKEST_VIRIDIS]]]


def test_more_heat_is_lighter_also_after_enlarging():
    light = luminance(pixels(heat_picture(np.linspace(0, 1, 64)[None], maximum=1, size=64))[0])
    assert (np.diff(light) > 0).all()
    enlarged = luminance(pixels(heat_picture(np.linspace(0, 1, 64)[None], maximum=1, size=700))[0])
    assert np.diff(enlarged).min() > -5e-4  # what rounding viridis to 8 bits costs
    assert len(np.unique(enlarged)) > 250


def test_values_are_enlarged_before_they_are_coloured():
    picture = pixels(heat_picture([[0, 1]], maximum=1, size=101))
    middle = picture[0, 50]
    assert middle.tolist() == [*colour_at("heat", 0.5)]
    assert np.abs(middle - np.add(DARKEST_VIRIDIS, BRIGHTEST_VIRIDIS) / 2).max() > 20  # what blending colours gives


def test_equal_maps_look_equal_at_one_maximum_and_differ_at_another():
    heat = np.random.default_rng(0).random((7, 7))
    picture = pixels(heat_picture(heat, maximum=1, size=56))
    assert (picture == pixels(heat_picture(heat.copy(), maximum=1, size=56))).all()
    assert (picture != pixels(heat_picture(heat, maximum=2, size=56))).any()
    assert (picture == pixels(heat_picture(2 * heat, maximum=2, size=56))).all()


def test_heat_beyond_the_maximum_is_cut_off():
    assert pixels(heat_picture([[5.0]], maximum=1, size=1)).tolist() == [[[*BRIGHTEST_VIRIDIS]]]


def test_no_evidence_anywhere_is_drawn_as_zero_heat():
    assert pixels(heat_picture(np.zeros((2, 2)), maximum=0, size=2)).tolist() == [[[*DARKEST_VIRIDIS]] * 2] * 2


@pytest.mark.parametrize("scale", [-1.0, np.nan, np.inf])
def test_impossible_scales_are_refused(scale):
    for draw in (partial(heat_picture, [[1]], maximum=scale), partial(difference_picture, [[1]], [[2]], limit=scale)):
        with pytest.raises(ValueError, match="scale"):
            draw(size=4)


def test_no_difference_is_exactly_white():
    heat = np.random.default_rng(1).random((7, 5))
    assert (pixels(difference_picture(heat, heat, limit=1e-9, size=50)) == 255).all()
    assert (pixels(difference_picture(heat, heat, limit=0, size=50)) == 255).all()


def test_difference_is_orange_for_the_first_and_purple_for_the_second():
    first, second = pixels(difference_picture([[1, 0]], [[0, 1]], limit=1, size=2))[0]
    assert first.tolist() == [0x7F, 0x3B, 0x08]
    assert second.tolist() == [0x57, 0x3B, 0x99]


def test_both_signs_of_a_difference_are_equally_light():
    steps = np.linspace(0, 1, 256)[None]
    more = luminance(pixels(difference_picture(0 * steps, steps, limit=1, size=256))[0])
    less = luminance(pixels(difference_picture(steps, 0 * steps, limit=1, size=256))[0])
    assert np.abs(more - less).max() < 0.02
    assert (np.diff(more) <= 0).all()
    assert (np.diff(less) <= 0).all()


def test_differences_beyond_the_limit_are_cut_off():
    at_limit, beyond = (pixels(difference_picture([[0]], [[d]], limit=1, size=1)) for d in (1, 9))
    assert (at_limit == beyond).all()


def test_overlay_is_half_picture_and_half_jet_in_rgb_order():
    picture = pixels(overlay_picture(flat(1, 0, 0), [[0, 1]], size=2))[0]
    expected = [np.add((255, 0, 0), jet) / 2 for jet in JET_ENDS]
    assert np.abs(picture - expected).max() <= 1


def test_overlay_hides_how_strong_a_map_is():
    heat = np.random.default_rng(2).random((7, 7))
    assert overlay_picture(flat(0, 0, 0), heat, size=28) == overlay_picture(flat(0, 0, 0), heat / 64, size=28)


def test_constant_map_is_laid_over_as_zero_heat():
    overlays = [pixels(overlay_picture(flat(0, 0, 0), np.full((7, 7), value), size=8)) for value in (0, 3)]
    assert (overlays[0] == overlays[1]).all()
    assert (overlays[0] == (0, 0, 64)).all()


def test_display_rounds_to_8_bits_and_cuts_off():
    values = np.array([-0.5, 0, 100.4 / 255, 100.6 / 255, 1, 7])
    picture = pixels(display_picture(np.broadcast_to(values, (3, 1, 6))))
    assert picture[0].tolist() == [[level] * 3 for level in (0, 0, 100, 101, 255, 255)]


def test_display_keeps_channels_and_axes_in_order():
    array = np.random.default_rng(3).integers(0, 256, (3, 4, 6))
    assert (pixels(display_picture(array / 255)) == array.transpose(1, 2, 0)).all()


def test_residual_is_mid_grey_plus_the_gained_difference():
    second = np.array([0, 4, -4, 200, -200])[None, None] / 255 + np.zeros((3, 1, 1))
    picture = pixels(residual_picture(np.zeros((3, 1, 5)), second, gain=8))
    assert picture[0].tolist() == [[level] * 3 for level in (128, 160, 96, 255, 0)]


@pytest.mark.parametrize("name", ["heat", "difference"])
def test_legend_gradient_has_the_colours_of_the_pictures(name):
    stops = re.findall(r"#(\w\w)(\w\w)(\w\w) ([\d.]+)%", gradient_css(name))
    assert len(stops) == 17
    for red, green, blue, at in stops:
        position = float(at) / 100
        if name == "heat":
            drawn = heat_picture([[position]], maximum=1, size=1)
        else:
            drawn = difference_picture([[0]], [[2 * position - 1]], limit=1, size=1)
        assert pixels(drawn)[0, 0].tolist() == [int(red, 16), int(green, 16), int(blue, 16)]


def test_colours_are_cut_off_beyond_their_ends():
    assert colour_at("heat", -1) == DARKEST_VIRIDIS
    assert colour_at("heat", 2) == BRIGHTEST_VIRIDIS
    assert colour_at("difference", 0.5) == (255, 255, 255)
