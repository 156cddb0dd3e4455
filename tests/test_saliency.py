"""Measures of maps: known answers, brute force over pixels, grad-cam's own removal, and no dependence on the unit."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_grad_cam.metrics.road import RemoveMostRelevantFirst
from torch import nn

from jpegdl.analysis.perturbation import Question, curve_areas
from jpegdl.analysis.saliency import (
    MEASURES,
    Box,
    area_under,
    contrast,
    coverage,
    edge_map,
    gaussian_map,
    marked_first,
    points_at,
    share_inside,
)
from jpegdl.pairs.classifier import Classifier

LEFT_HALF = Box(0, 0, 0.5, 1)
EVEN = np.ones((4, 4))
FINE = 40  # pixels along a cell in brute force

corners = st.tuples(st.integers(0, 280), st.integers(0, 280)).filter(lambda pair: pair[0] != pair[1]).map(sorted)
boxes = st.builds(lambda x, y: Box(x[0] / 280, y[0] / 280, x[1] / 280, y[1] / 280), corners, corners)
maps = st.integers(0, 2**32 - 1).map(lambda seed: np.random.default_rng(seed).random((7, 7)) ** 3)


def at(row: int, column: int, side: int = 4) -> np.ndarray:
    values = np.zeros((side, side))
    values[row, column] = 3.7
    return values


def on_pixels(box: Box, cells: int) -> np.ndarray:
    """The box as a mask of pixels, FINE along each cell; true only to within a pixel."""
    middles = (np.arange(cells * FINE) + 0.5) / (cells * FINE)
    rows, columns = (middles > box.top) & (middles < box.bottom), (middles > box.left) & (middles < box.right)
    return np.outer(rows, columns)


def test_a_map_inside_the_box_has_all_of_its_share_and_a_map_outside_none():
    assert share_inside(at(1, 1), LEFT_HALF) == 1
    assert share_inside(at(1, 2), LEFT_HALF) == 0
    assert share_inside(at(1, 1) + at(1, 2), LEFT_HALF) == pytest.approx(0.5)
    assert share_inside(at(0, 0), Box(0, 0, 1 / 8, 1 / 4)) == pytest.approx(0.5)  # half of the cell


def test_an_even_map_and_an_empty_one_have_the_share_of_chance_and_no_contrast():
    box = Box(0.1, 0.2, 0.65, 0.7)
    for values in (EVEN, np.zeros((4, 4))):
        assert share_inside(values, box) == pytest.approx(0.55 * 0.5)
        assert contrast(values, box) == pytest.approx(0, abs=1e-12)
        assert points_at(values, box) == 6 / 16  # centres at 1/8, 3/8, 5/8 of columns and 3/8, 5/8 of rows


def test_pointing_is_at_the_centre_of_the_highest_cell_and_shared_by_equal_ones():
    assert (points_at(at(3, 1), LEFT_HALF), points_at(at(3, 2), LEFT_HALF)) == (1, 0)
    assert points_at(at(0, 0) + at(0, 3), LEFT_HALF) == 0.5
    assert points_at(at(0, 0), Box(0.13, 0, 1, 1)) == 0  # the cell's larger part, but not its centre


def test_contrast_is_that_of_means_not_of_sums():
    assert (contrast(at(0, 0), LEFT_HALF), contrast(at(0, 3), LEFT_HALF)) == (1, -1)
    quarter = Box(0, 0, 0.5, 0.5)
    values = EVEN + 2 * coverage(quarter, 4, 4)  # 3 inside, 1 outside
    assert contrast(values, quarter) == pytest.approx((3 - 1) / (3 + 1))


@pytest.mark.parametrize("box", [Box(0, 0, 1, 1), Box(-0.2, -1, 3, 1.1), Box(1.1, 0, 1.4, 1)])
def test_without_an_inside_or_an_outside_there_is_no_contrast(box):
    assert np.isnan(contrast(at(1, 1), box))
    assert box.area in (0, 1)
    assert share_inside(EVEN, box) == box.area


@given(maps, boxes)
@settings(max_examples=40, deadline=None)
def test_every_measure_is_that_of_pixels_and_knows_no_unit(values, box):
    mask = on_pixels(box, 7)
    assert mask.mean() == pytest.approx(box.area, abs=1e-9)  # 280 pixels: boxes end between pixels
    pixels = np.kron(values, np.ones((FINE, FINE)))
    assert share_inside(values, box) == pytest.approx(pixels[mask].sum() / pixels.sum())
    inside, outside = pixels[mask].mean(), pixels[~mask].mean() if not mask.all() else np.nan
    assert contrast(values, box) == pytest.approx((inside - outside) / (inside + outside), nan_ok=True)
    for measure in MEASURES.values():
        assert measure(values * 1e-6, box) == pytest.approx(measure(values, box), nan_ok=True)


@given(maps, st.integers(1, 20))
@settings(max_examples=40, deadline=None)
def test_marked_cells_grow_by_equal_steps_from_none_to_all_the_highest_first(values, steps):
    marked = marked_first(values, steps, np.random.default_rng(0))
    counts = marked.sum((1, 2))
    assert np.abs(counts - np.arange(steps + 1) * 49 / steps).max() <= 0.5
    for earlier, later in pairwise(marked):
        assert (earlier <= later).all()
        assert values[later].min() >= values[~later].max(initial=0)


def test_equal_cells_are_marked_in_a_drawn_order():
    orders = [marked_first(EVEN, 16, np.random.default_rng(seed))[1].argmax() for seed in range(20)]
    assert len(set(orders)) > 5
    assert orders[3] == marked_first(EVEN, 16, np.random.default_rng(3))[1].argmax()
    with pytest.raises(ValueError, match="at least 1 step, got 0"):
        marked_first(EVEN, 0, np.random.default_rng(0))


@pytest.mark.parametrize("removed", [1, 10, 24, 48])
def test_marked_cells_are_those_that_grad_cam_removes(removed):
    values = np.random.default_rng(removed).permutation(49).reshape(7, 7).astype(np.float32)
    kept: list[np.ndarray] = []

    def note(_picture: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        kept.append(mask.numpy())
        return _picture

    remove = RemoveMostRelevantFirst(percentile=100 * (1 - removed / 49), imputer=note)
    remove(torch.zeros(3, 7, 7), torch.from_numpy(values))
    np.testing.assert_array_equal(marked_first(values, 49, np.random.default_rng(0))[removed], kept[0] == 0)


def test_the_area_under_a_line_and_under_one_step():
    assert area_under(np.full(11, 0.3)) == pytest.approx(0.3)
    assert area_under(np.linspace(1, 0, 5)) == pytest.approx(0.5)
    assert area_under(np.array([1.0, 0, 0, 0, 0])) == pytest.approx(1 / 8)


def test_blind_maps_lie_in_the_middle_and_on_edges():
    bump = gaussian_map(7)
    assert bump.argmax() == 24
    np.testing.assert_allclose(bump, bump[::-1].T)
    picture = np.zeros((30, 30, 3), np.uint8)
    picture[:, 9:] = 200  # an edge between columns 8 and 9, in the third of ten columns of cells
    edges = edge_map(picture, 10)
    assert (edges.argmax(1) % 10 == 2).sum() + (edges.argmax(1) == 3).sum() == 10
    assert edges[:, [0, 1, 5, 9]].max() == 0
    assert edge_map(picture, 7).shape == (7, 7)  # not a divisor of the pixels
    assert not edge_map(np.full((16, 16, 3), 90, np.uint8), 4).any()


class Sees(nn.Module):
    """Class 1 is likely if the top left quarter is white, class 0 else."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        white = images[:, :, :4, :4].mean((1, 2, 3))
        return torch.stack([torch.zeros_like(white), 200 * (white - 0.6)], dim=1)


def test_deletion_and_insertion_have_the_areas_of_a_network_that_sees_one_quarter():
    """Deleted cells become 0.1, and the blur of a picture that is white there only lies below the threshold, too."""
    network = Classifier(nn.Identity(), nn.Sequential(_Shift(0.1), Sees()), (0.1, 0.1, 0.1), (1.0, 1.0, 1.0)).eval()
    picture = np.zeros((8, 8, 3), np.uint8)
    picture[:4, :4] = 255
    first, last = np.array([[4.0, 3], [2, 1]]), np.array([[1.0, 2], [3, 4]])
    questions = {"first": Question(first, 1), "last": Question(last, 1), "other": Question(first, 0)}
    areas = curve_areas(network, picture, questions, steps=4, draw=np.random.default_rng(0))
    assert areas["deletion", "first"] == pytest.approx(1 / 8, abs=1e-3)  # 1 0 0 0 0
    assert areas["deletion", "last"] == pytest.approx(7 / 8, abs=1e-3)  # 1 1 1 1 0
    assert areas["deletion", "other"] == pytest.approx(7 / 8, abs=1e-3)  # 0 1 1 1 1
    assert areas["insertion", "last"] <= areas["insertion", "first"]
    assert areas["insertion", "first"] == pytest.approx(7 / 8, abs=0.13)


class _Shift(nn.Module):
    """Undoes a normalisation that only subtracts."""

    def __init__(self, mean: float) -> None:
        super().__init__()
        self.mean = mean

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images + self.mean
