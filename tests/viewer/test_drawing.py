"""What the viewer draws and prints, against the colours of analysis/figures.py and Python's own arithmetic."""

import math
import re
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from jpegdl.analysis.figures import (
    colour_at,
    difference_picture,
    heat_picture,
    mass_normalised,
    overlay_picture,
    residual_picture,
)
from tests.viewer.conftest import COLUMNS, OpenViewer, drawn, options, pixels, set_options, view
from tests.viewer.payloads import CLASSES, PROBABILITIES, SHOWN, Payload, data_url, payload, pictures

pytestmark = pytest.mark.browser

SIDE = 256  # CSS pixels of every picture here, so that a source pixel covers whole device pixels
FIXED = f":root {{ --jxv-side: {SIDE}px }}"
NO_BREAK = "\u00a0"


def shares(result: Payload, index: int) -> dict[str, NDArray[np.float64]]:
    maps = result["maps"]
    position = maps["classes"].index(index)
    shape = maps["rows"], maps["columns"]
    baseline, jpegdl = (mass_normalised(np.reshape(maps[arm][position], shape)) for arm in ("baseline", "jpegdl"))
    return {"baseline": baseline, "jpegdl": jpegdl, "difference": jpegdl - baseline}


def round_limit(result: Payload, index: int) -> float:
    """The first round percentage that no cell exceeds, as a share."""
    largest = 100 * max(shares(result, index)[arm].max() for arm in ("baseline", "jpegdl"))
    return next(limit for limit in (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50) if limit >= largest) / 100


def cells(values: NDArray[np.float64], column: str, limit: float, side: int) -> NDArray[np.uint8]:
    """Each cell in its colour, (side, side, 3); edges at the nearest whole pixel."""

    def of_pixel(count: int) -> list[int]:
        edges = [math.floor(side * i / count + 0.5) for i in range(count + 1)]
        return [cell for cell in range(count) for _ in range(edges[cell], edges[cell + 1])]

    def colour(value: float) -> tuple[int, int, int]:
        return (
            colour_at("difference", (value / limit + 1) / 2)
            if column == "difference"
            else colour_at("heat", value / limit)
        )

    table = np.array([[colour(value) for value in line] for line in values], dtype=np.uint8)
    return table[of_pixel(values.shape[0])][:, of_pixel(values.shape[1])]


def brightness(picture: Any) -> NDArray[np.float64]:
    return np.asarray(picture, dtype=np.float64) @ [0.299, 0.587, 0.114]


@pytest.mark.parametrize(("rows", "columns", "ratio"), [(4, 4, 1), (7, 7, 2), (5, 3, 1), (28, 28, 2)])
def test_cells_have_the_colours_of_python_in_every_pixel(open_viewer: OpenViewer, rows, columns, ratio):
    result = payload(rows=rows, columns=columns)
    page = open_viewer(result, style=FIXED, device_scale_factor=ratio)
    set_options(page, picture=False)
    limit = round_limit(result, 0)
    for column, values in shares(result, 0).items():
        seen = pixels(view(page, "looks", column).locator("canvas"))
        assert (seen == cells(values, column, limit, SIDE * ratio)).all()


def test_over_the_picture_a_cell_is_two_thirds_of_its_colour(open_viewer):
    result = payload(size=128)
    page = open_viewer(result, style=FIXED)
    ground = np.rint(24 + 0.76 * brightness(pictures(128, 20)[0])).repeat(2, axis=0).repeat(2, axis=1)
    for column, values in shares(result, 0).items():
        colour = cells(values, column, round_limit(result, 0), SIDE)
        expected = 0.66 * colour + 0.34 * ground[..., None]
        assert np.abs(pixels(view(page, "looks", column).locator("canvas")) - expected).max() <= 1.5


def test_both_pictures_are_shown_pixel_by_pixel(open_viewer):
    page = open_viewer(payload(size=128), style=FIXED)
    for column, picture in zip(("baseline", "jpegdl"), pictures(128, 20), strict=True):
        expected = np.asarray(picture).repeat(2, axis=0).repeat(2, axis=1)
        assert (pixels(view(page, "given", column).locator("canvas")) == expected).all()


@pytest.mark.parametrize(("change", "gain", "ratio"), [(12, 8, 1), (25, 4, 2), (50, 2, 1), (110, 1, 2), (250, 1, 1)])
def test_the_brightness_difference_has_the_colours_of_python_and_the_largest_factor_that_cuts_nothing_off(
    open_viewer, change, gain, ratio
):
    page = open_viewer(payload(size=128, change=change), style=FIXED, device_scale_factor=ratio)
    given, reconstruction = (brightness(picture) for picture in pictures(128, change))
    largest = np.abs(reconstruction - given).max()
    assert gain == 1 or largest * gain <= 128
    assert gain == 8 or largest * 2 * gain > 128
    expected = np.asarray(difference_picture(given, reconstruction, limit=128 / gain, size=128))
    cell = view(page, "given", "difference")
    assert (pixels(cell.locator("canvas")) == expected.repeat(2 * ratio, axis=0).repeat(2 * ratio, axis=1)).all()
    assert f"×{gain}, to ±{128 // gain}" in cell.locator(".jxv-caption").inner_text()


def test_a_reconstruction_that_is_sent_as_its_change_modulo_256_is_drawn_as_itself(open_viewer):
    given, reconstruction = (np.asarray(picture) for picture in pictures(128, 90))
    result = payload(size=128, change=90)
    result["pictures"] |= {"reconstruction": data_url(Image.fromarray(reconstruction - given)), "relative": True}
    page = open_viewer(result, style=FIXED)
    seen = pixels(view(page, "given", "jpegdl").locator("canvas"))
    assert (seen == reconstruction.repeat(2, axis=0).repeat(2, axis=1)).all()


def test_a_difference_half_way_between_two_colours_takes_the_one_that_python_takes(open_viewer):
    result = payload(size=32)
    levels = (np.arange(1024) % 256).reshape(32, 32).astype(np.uint8)  # minus 128: -128..127, and 64 is half-way
    for name, grey in (("given", np.full_like(levels, 128)), ("reconstruction", levels)):
        result["pictures"][name] = data_url(Image.fromarray(np.stack([grey] * 3, axis=-1)))
    page = open_viewer(result, style=FIXED)
    expected = np.asarray(difference_picture(np.full(levels.shape, 128.0), levels.astype(float), limit=128, size=32))
    seen = pixels(view(page, "given", "difference").locator("canvas"))
    assert (seen == expected.repeat(8, axis=0).repeat(8, axis=1)).all()


def test_the_colour_difference_is_that_of_python(open_viewer):
    page = open_viewer(payload(size=128, change=20), style=FIXED)
    set_options(page, difference="colour")
    first, second = (np.asarray(picture).transpose(2, 0, 1) / 255 for picture in pictures(128, 20))
    expected = np.asarray(residual_picture(first, second, gain=4)).repeat(2, axis=0).repeat(2, axis=1)
    cell = view(page, "given", "difference")
    assert "colour ×4" in cell.locator(".jxv-caption").inner_text()
    assert (pixels(cell.locator("canvas")) == expected).all()


def test_the_smooth_drawing_enlarges_values_as_python_does(open_viewer):
    result = payload(rows=7, columns=7)
    page = open_viewer(result, style=FIXED)
    set_options(page, picture=False, drawing="smooth")
    limit, maps = round_limit(result, 0), shares(result, 0)
    for arm in ("baseline", "jpegdl"):
        expected = np.asarray(heat_picture(maps[arm], maximum=limit, size=SIDE)).astype(int)
        assert np.abs(pixels(view(page, "looks", arm).locator("canvas")) - expected).max() <= 4  # one colour further
    expected = np.asarray(difference_picture(maps["baseline"], maps["jpegdl"], limit=limit, size=SIDE)).astype(int)
    assert np.abs(pixels(view(page, "looks", "difference").locator("canvas")) - expected).max() <= 4


def test_the_papers_overlay_is_that_of_python_and_says_that_its_scale_is_its_own(open_viewer):
    result = payload(size=SIDE, rows=7, columns=7)
    page = open_viewer(result, style=FIXED)
    set_options(page, drawing="overlay")
    given = np.asarray(pictures(SIDE, 20)[0]).transpose(2, 0, 1) / 255
    for arm in ("baseline", "jpegdl"):
        expected = np.asarray(overlay_picture(given, shares(result, 0)[arm], size=SIDE)).astype(int)
        cell = view(page, "looks", arm)
        assert np.abs(pixels(cell.locator("canvas")) - expected).max() <= 3
        assert "own scale" in cell.locator(".jxv-caption").inner_text()
    ruler = page.locator(".jxv-table .jxv-ruler-heat")
    assert "own scale" in ruler.inner_text()
    assert "%" not in ruler.inner_text()


def test_one_ruler_prints_its_limit_for_both_maps_and_their_difference(open_viewer):
    result = payload(rows=4, columns=4)
    page = open_viewer(result)
    heat, difference = (page.locator(f".jxv-table .jxv-ruler-{name}") for name in ("heat", "difference"))
    for index in SHOWN:
        set_options(page, **{"class": index})
        limit = round(100 * round_limit(result, index))
        assert heat.inner_text().split("\n")[-1].endswith(f"{limit}{NO_BREAK}% a cell")
        assert re.sub(r"\s+", " ", difference.inner_text()) == f"−{limit} 0 +{limit} points"
        assert f"6.3{NO_BREAK}% spread evenly" in heat.inner_text()
    largest = max(round_limit(result, index) for index in SHOWN)
    set_options(page, ruler="all")
    assert f"{round(100 * largest)}{NO_BREAK}% a cell" in heat.inner_text()


READINGS = """() => {
    const all = (name) => [...document.querySelectorAll(".jxv-table " + name)];
    return {
        texts: all('[data-row="looks"] .jxv-reading').map(reading => reading.textContent),
        stands: all(".jxv-stand").map(stand => parseFloat(stand.style.left)),
        said: document.querySelector(".jxv > .jxv-live").textContent,
    };
}"""


def test_every_cell_reads_the_share_that_python_computes_in_captions_and_on_the_ruler(open_viewer):
    result = payload(rows=3, columns=4)
    page = open_viewer(result)
    maps, limit = shares(result, 0), round_limit(result, 0)
    page.locator('.jxv-table [data-row="looks"][data-column="baseline"] canvas').focus()
    for key in ("ArrowUp", "ArrowUp", "ArrowLeft", "ArrowLeft", "ArrowLeft"):
        page.keyboard.press(key)
    for row in range(3):
        for number in range(4):
            column = number if row % 2 == 0 else 3 - number
            if number:
                page.keyboard.press("ArrowRight" if row % 2 == 0 else "ArrowLeft")
            drawn(page)
            seen = page.evaluate(READINGS)
            values = {name: float(maps[name][row, column]) for name in COLUMNS}
            change = f"{100 * values['difference']:+.1f} points".replace("-", "−")
            texts = [*(f"{100 * values[arm]:.1f}{NO_BREAK}%" for arm in ("baseline", "jpegdl")), change]
            assert seen["texts"] == texts
            expected = [100 * values["baseline"] / limit, 100 * values["jpegdl"] / limit]
            expected.append(50 + 50 * values["difference"] / limit)
            assert seen["stands"] == pytest.approx(expected, abs=1e-3)
            where = f"cell row {row + 1}, column {column + 1}"
            assert seen["said"] == f"{where}: Baseline {texts[0]}, JPEG-DL {texts[1]}, Difference {texts[2]}"
        page.keyboard.press("ArrowDown")


def test_a_block_reads_its_mean_brightness(open_viewer):
    page = open_viewer(payload(size=32, change=50))
    page.locator('.jxv-table [data-row="given"][data-column="jpegdl"] canvas').focus()
    for key in ("ArrowLeft", "ArrowLeft", "ArrowLeft", "ArrowUp", "ArrowUp", "ArrowUp"):
        page.keyboard.press(key)
    drawn(page)
    means = [brightness(picture)[:8, :8].mean() for picture in pictures(32, 50)]
    texts = [view(page, "given", name).locator(".jxv-reading").inner_text() for name in COLUMNS]
    assert texts[:2] == [f"{mean:.0f} of 255" for mean in means]
    assert texts[2] == f"{means[1] - means[0]:+.0f} levels".replace("-", "−")


def test_a_map_of_a_class_that_its_network_hardly_gives_says_so_beside_it(open_viewer):
    page = open_viewer(payload())
    for index in SHOWN:
        set_options(page, **{"class": index})
        for arm in ("baseline", "jpegdl"):
            text = view(page, "looks", arm).locator(".jxv-caption").inner_text()
            share = PROBABILITIES[arm][index]
            assert (f"(given {100 * share:.1f}{NO_BREAK}%)" in text) == (share < 0.05)


def test_a_map_without_evidence_says_so_and_is_drawn_as_zero(open_viewer):
    result = payload()
    result["maps"]["baseline"][0] = [0.0] * 16
    page = open_viewer(result, style=FIXED)
    set_options(page, picture=False)
    cell = view(page, "looks", "baseline")
    assert "no evidence for daffodil" in cell.locator(".jxv-caption").inner_text()
    assert (pixels(cell.locator("canvas")) == colour_at("heat", 0)).all()


BARS = """bars => bars.map(bar => ({
    name: bar.querySelector(".jxv-name").textContent,
    value: bar.querySelector(".jxv-value").textContent,
    marks: [...bar.querySelectorAll(".jxv-line .jxv-mark")].map(mark => parseFloat(mark.style.left)),
    length: bar.querySelector(".jxv-track i")?.clientWidth / bar.querySelector(".jxv-track")?.clientWidth,
}))"""


def test_bars_and_points_are_the_probabilities(open_viewer):
    page = open_viewer(payload())
    order = sorted(SHOWN, key=lambda index: -max(PROBABILITIES[arm][index] for arm in PROBABILITIES))
    for column in COLUMNS:
        bars = page.locator(f".jxv-table .jxv-bars.jxv-{column} .jxv-bar").evaluate_all(BARS)
        assert [bar["name"] for bar in bars] == [CLASSES[index] for index in order]
        for bar, index in zip(bars, order, strict=True):
            both = {arm: PROBABILITIES[arm][index] for arm in ("baseline", "jpegdl")}
            if column == "difference":
                change = float(bar["value"].replace("−", "-"))
                assert change == pytest.approx(100 * (both["jpegdl"] - both["baseline"]), abs=0.051)
                assert bar["marks"] == pytest.approx([100 * both["baseline"], 100 * both["jpegdl"]])
            else:
                assert bar["value"] == f"{100 * both[column]:.1f}{NO_BREAK}%"
                assert bar["length"] == pytest.approx(both[column], abs=0.006)


def test_the_grid_lies_on_the_blocks(open_viewer):
    page = open_viewer(payload(size=32), style=FIXED)
    before = pixels(view(page, "given", "baseline").locator("canvas")).astype(int)
    set_options(page, grid=True)
    after = pixels(view(page, "given", "baseline").locator("canvas")).astype(int)
    changed = (before != after).any(axis=(0, 2))
    untouched = (before[4] == after[4]).all(axis=1)  # a line through the middle of no block's edge
    assert changed.any()
    assert np.flatnonzero(~untouched).tolist() == [64, 65, 128, 129, 192, 193]


def test_enlarged_pictures_are_pixelated(open_viewer):
    page = open_viewer(payload(size=32), style=FIXED)
    for _ in range(3):
        page.locator('.jxv-table [data-row="given"][data-column="baseline"] canvas').press("+")
    drawn(page)
    picture = pixels(view(page, "given", "baseline").locator("canvas")).reshape(-1, 3)
    originals = {tuple(colour) for colour in np.asarray(pictures(32, 20)[0]).reshape(-1, 3).tolist()}
    assert {tuple(colour) for colour in picture.tolist()} <= originals  # no colour between two pixels


def test_what_cannot_be_shown_is_refused(open_viewer):
    page = open_viewer(payload())
    refused = "changes => { try { table.set(changes); return ''; } catch (error) { return error.message; } }"
    assert "one of slide, side, blink, difference, not spin" in page.evaluate(refused, {"mode": "spin"})
    assert "no option speed" in page.evaluate(refused, {"speed": 3})
    assert "one of 0, 1, 2, 3, 4, 5, not 8" in page.evaluate(refused, {"class": 8})
    assert options(page)["mode"] == "slide"
