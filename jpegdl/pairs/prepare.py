"""From a picture to the square that both networks see, the same in training's tests and on the page."""

import numpy as np
import torch
from PIL import Image
from torch import Tensor


def prepare(picture: Image.Image, size: int, short_side: int) -> Tensor:
    """RGB picture of any size -> uint8 tensor (3, size, size): short side to `short_side` pixels, then the centre.

    Bilinear with antialiasing (Pillow's). Divide by 255 to get what a Classifier takes.
    """
    width, height = picture.size
    scale = short_side / min(width, height)
    wide, high = max(size, round(width * scale)), max(size, round(height * scale))
    left, top = (wide - size) // 2, (high - size) // 2
    resized = picture.convert("RGB").resize((wide, high), Image.Resampling.BILINEAR)
    square = resized.crop((left, top, left + size, top + size))
    return torch.from_numpy(np.array(square)).permute(2, 0, 1).contiguous()


def to_unit(images: Tensor) -> Tensor:
    """uint8 pictures -> float32 in [0, 1], any shape."""
    return images.float() / 255
