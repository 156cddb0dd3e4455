"""Numbers about one map: does it lie on the object, and does the network need what it marks? NumPy, no network.

A map is (h, w), >= 0, of cells that tile a square picture; only its shape counts, not its unit. A box is cut to the
picture and may end inside a cell. A map without any value marks nothing, and counts as one that is even everywhere.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import sobel

Array = NDArray[np.floating]


class Box(NamedTuple):
    """A rectangle in a square picture, in shares of its side: 0 is left or top, 1 right or bottom."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def area(self) -> float:
        """Share of the picture, 0..1, that lies in the box."""
        width, height = (
            np.clip(b, 0, 1) - np.clip(a, 0, 1) for a, b in ((self.left, self.right), (self.top, self.bottom))
        )
        return float(max(width, 0) * max(height, 0))


def coverage(box: Box, height: int, width: int) -> Array:
    """(height, width): the share of each cell that the box covers, 0..1."""

    def along(start: float, end: float, cells: int) -> Array:
        edges = np.arange(cells + 1) / cells
        return np.clip(np.minimum(edges[1:], end) - np.maximum(edges[:-1], start), 0, None) * cells

    return np.outer(along(box.top, box.bottom, height), along(box.left, box.right, width))


def share_inside(values: Array, box: Box) -> float:
    """Share of the map that lies in the box, 0..1; an even map has the box's area."""
    total = values.sum(dtype=float)
    return float((values * coverage(box, *values.shape)).sum(dtype=float) / total) if total > 0 else box.area


def points_at(values: Array, box: Box) -> float:
    """Pointing game (Zhang et al. 2018), without a margin: 1 if the centre of the highest cell lies in the box, else 0.

    Cells of equal height share the point, so an even map scores the share of centres in the box.
    """
    height, width = values.shape
    rows, columns = (np.arange(height) + 0.5) / height, (np.arange(width) + 0.5) / width
    hit = np.outer((box.top <= rows) & (rows <= box.bottom), (box.left <= columns) & (columns <= box.right))
    return float(hit[values == values.max()].mean())


def contrast(values: Array, box: Box) -> float:
    """(inside - outside) / (inside + outside) of the map's means, -1..1; 0 is even, nan without an outside."""
    area = box.area
    if not 0 < area < 1:
        return float("nan")
    share = share_inside(values, box)
    inside, outside = share / area, (1 - share) / (1 - area)
    return float((inside - outside) / (inside + outside))


MEASURES: Mapping[str, Callable[[Array, Box], float]] = {
    "share": share_inside,
    "pointing": points_at,
    "contrast": contrast,
}


def marked_first(values: Array, steps: int, draw: np.random.Generator) -> NDArray[np.bool_]:
    """(steps + 1, h, w): the cells that are among the highest 0, 1/steps, 2/steps, ... of all; equal ones in any order.

    Raises ValueError for less than one step.
    """
    if steps < 1:
        raise ValueError(f"a curve needs at least 1 step, got {steps}")
    shuffled = draw.permutation(values.size)
    order = shuffled[np.argsort(-values.ravel()[shuffled], kind="stable")]
    rank = np.empty(values.size, np.int64)
    rank[order] = np.arange(values.size)
    counts = np.rint(np.arange(steps + 1) * values.size / steps)
    return (rank[None] < counts[:, None]).reshape(steps + 1, *values.shape)


def area_under(curve: Array) -> float:
    """Area under values at equal distances from 0 to 1, by trapezoids; of a probability, 0..1."""
    return float(np.trapezoid(curve, dx=1 / (len(curve) - 1)))


def gaussian_map(side: int) -> Array:
    """(side, side): a bump in the middle, with a quarter of the picture as its deviation. Photographers aim."""
    along = np.exp(-0.5 * (((np.arange(side) + 0.5) / side - 0.5) / 0.25) ** 2)
    return np.outer(along, along)


def edge_map(square: NDArray[np.uint8], side: int) -> Array:
    """(side, side): the mean gradient (Sobel) of the grey picture (S, S, 3) in each cell."""
    grey = square.astype(np.float64).mean(axis=2)
    cell = cell_of_pixel(len(grey), side)
    sums = np.zeros((side, side))
    np.add.at(sums, np.ix_(cell, cell), np.hypot(sobel(grey, 0), sobel(grey, 1)))
    pixels = np.bincount(cell, minlength=side)
    return sums / np.outer(pixels, pixels)


def cell_of_pixel(pixels: int, cells: int) -> NDArray[np.int64]:
    """(pixels,): to which of the cells along a side each pixel belongs."""
    return np.arange(pixels) * cells // pixels
