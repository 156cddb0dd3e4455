"""What the layer takes, checked once at its door: whatever else comes is refused before a number is touched.

The compiled layer reads memory by the sizes that it is told, so nothing behind the door checks again.
"""

from typing import Any

import torch
from torch import Tensor

DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_LEAST_INDEX = 2  # five levels


def check_given(images: Any, steps: Any, alpha: Any, max_index: Any) -> None:
    """Raise ValueError, with what came and what was expected, unless these are what `roundtrip` takes.

    images: (N, 3, H, W), H and W at least 1, N may be 0. steps: (rounds, 2, 8, 8), at least one round; alpha: the same
    shape. All floating point (16, 32 or 64 bits), dense, on one device. max_index: at least 2, or None.
    """
    check_limit(max_index)
    check_images(images)
    check_numbers("steps", steps)
    check_numbers("alpha", alpha)
    if steps.shape[1:] != (2, 8, 8) or not len(steps):
        raise ValueError(f"steps must have shape (rounds, 2, 8, 8), luma and chroma; got {tuple(steps.shape)}")
    if alpha.shape != steps.shape:
        raise ValueError(f"alpha must have the shape of the steps, {tuple(steps.shape)}; got {tuple(alpha.shape)}")
    if not images.device == steps.device == alpha.device:
        raise ValueError(
            f"images are on {images.device}, steps on {steps.device}, alpha on {alpha.device}; "
            "move them to one device, the layer with .to(device)"
        )


def check_images(images: Any) -> None:
    """Raise ValueError unless these are pictures: (N, 3, H, W), floating point, H and W at least 1."""
    check_numbers("images", images)
    if images.ndim != 4 or images.shape[1] != 3 or not (images.shape[2] and images.shape[3]):
        raise ValueError(
            f"images must have shape (count, 3, height, width), RGB, height and width at least 1; "
            f"got {tuple(images.shape)}{_hint(images)}"
        )


def check_coefficients(coefficients: Any) -> None:
    """Raise ValueError unless these are DCT coefficients of pictures: (N, 3, L, 8, 8), floating point."""
    check_numbers("coefficients", coefficients)
    shape = tuple(coefficients.shape)
    if len(shape) != 5 or shape[1] != 3 or shape[3:] != (8, 8):
        raise ValueError(f"coefficients must have shape (count, 3, blocks, 8, 8); got {shape}")


def check_limit(max_index: Any) -> None:
    """Raise ValueError for an index limit that is no whole number or leaves fewer than five levels."""
    if max_index is not None and (not isinstance(max_index, int) or max_index < _LEAST_INDEX):
        raise ValueError(f"max_index must be a whole number, at least {_LEAST_INDEX} (five levels), got {max_index!r}")


def check_numbers(name: str, tensor: Any) -> None:
    """Raise ValueError unless it is a dense tensor of floating-point numbers."""
    if not isinstance(tensor, Tensor):
        raise ValueError(f"{name} must be a tensor, got {type(tensor).__name__}; torch.as_tensor makes one")
    if tensor.dtype not in DTYPES:
        remedy = "; divide by 255 to get 1.0 = white" if tensor.dtype == torch.uint8 else ""
        raise ValueError(f"{name} must be floating point (16, 32 or 64 bits), got {tensor.dtype}{remedy}")
    if tensor.layout != torch.strided:
        raise ValueError(f"{name} must be dense, got {tensor.layout}; call to_dense first")


def _hint(images: Tensor) -> str:
    """What was probably meant."""
    if images.ndim == 3 and images.shape[0] == 3:
        return "; one picture is a batch of one: images[None]"
    if images.ndim == 4 and images.shape[1] == 1:
        return "; grey pictures: images.expand(-1, 3, -1, -1)"
    if images.ndim == 4 and images.shape[1] == 4:
        return "; put transparent pictures on a background, then drop the fourth channel"
    if images.ndim == 4 and images.shape[3] == 3:
        return "; channels come second: images.permute(0, 3, 1, 2)"
    return ""
