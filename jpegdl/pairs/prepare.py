"""From a picture to the square that both networks see, the same in training's tests and on the page."""

from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from jpegdl.pairs.squares import Prepared, scaled, square


class Crop(NamedTuple):
    """The square that the networks see, in pixels of the whole upright picture."""

    width: int  # of the whole picture
    height: int
    left: float
    top: float
    side: float


def prepare(picture: Image.Image | Prepared, size: int, short_side: int) -> Tensor:
    """RGB picture of any size -> uint8 tensor (3, size, size): short side to `short_side` pixels, then the centre.

    Divide by 255 to get what a Classifier takes.
    """
    return torch.from_numpy(np.array(square(picture, size, short_side))).permute(2, 0, 1).contiguous()


def crop(width: int, height: int, size: int, short_side: int) -> Crop:
    """Which part of a picture `prepare` keeps."""
    wide, high, left, top = scaled(width, height, size, short_side)
    return Crop(width, height, left * width / wide, top * height / high, size * min(width / wide, height / high))


def to_unit(images: Tensor) -> Tensor:
    """uint8 pictures -> float32 in [0, 1], any shape."""
    return images.float() / 255
