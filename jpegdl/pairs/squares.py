"""The square that the networks see, cut out of a picture of any size; without torch, so that a small process can."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image


@dataclass(frozen=True, eq=False)
class Prepared:
    """A picture of which only the squares are here: (size, short side) -> (size, size, 3). `size` is that of the whole
    upright picture, as a Pillow image has it."""

    size: tuple[int, int]
    squares: Mapping[tuple[int, int], NDArray[np.uint8]]


def square(picture: Image.Image | Prepared, size: int, short_side: int) -> NDArray[np.uint8]:
    """RGB picture -> (size, size, 3): short side to `short_side` pixels, then the centre.

    Bilinear with antialiasing (Pillow's). Raises ValueError for a square that nobody prepared.
    """
    if isinstance(picture, Prepared):
        if (size, short_side) not in picture.squares:
            raise ValueError(f"expected one of the squares {sorted(picture.squares)}, got {(size, short_side)}")
        return picture.squares[size, short_side]
    wide, high, left, top = scaled(*picture.size, size, short_side)
    resized = picture.convert("RGB").resize((wide, high), Image.Resampling.BILINEAR)
    return np.array(resized.crop((left, top, left + size, top + size)))


def scaled(width: int, height: int, size: int, short_side: int) -> tuple[int, int, int, int]:
    """Width and height after scaling, left and top of the centre square in it."""
    scale = short_side / min(width, height)
    wide, high = max(size, round(width * scale)), max(size, round(height * scale))
    return wide, high, (wide - size) // 2, (high - size) // 2


__all__ = ["Prepared", "scaled", "square"]
