"""RGB to full-range YCbCr and back, as JFIF 1.02 defines it (ITU-R BT.601 weights, chroma centred at 128)."""

import torch
from torch import Tensor

KR, KG, KB = 0.299, 0.587, 0.114  # luma weights, BT.601

_LUMA = (KR, KG, KB)
_CB = (-KR / (2 * (1 - KB)), -KG / (2 * (1 - KB)), 0.5)
_CR = (0.5, -KG / (2 * (1 - KR)), -KB / (2 * (1 - KR)))
FORWARD = (_LUMA, _CB, _CR)  # rows Y, Cb, Cr; columns R, G, B
_RED_CR, _BLUE_CB = 2 * (1 - KR), 2 * (1 - KB)
INVERSE = (
    (1.0, 0.0, _RED_CR),
    (1.0, -KB * _BLUE_CB / KG, -KR * _RED_CR / KG),
    (1.0, _BLUE_CB, 0.0),
)
_CENTRE = 128.0


def rgb_to_ycbcr(rgb: Tensor) -> Tensor:
    """RGB grey levels 0..255, (N, 3, H, W) -> YCbCr of the same shape; Y in 0..255, Cb and Cr centred at 128.

    The transform is linear and does not clamp, so values outside 0..255 pass through. Source: paper section 3.1;
    the authors' code adds a further 0.5 to the chroma, which we do not (docs/method.md).
    """
    return _mix(rgb, FORWARD) + _chroma_offset(rgb)


def ycbcr_to_rgb(ycbcr: Tensor) -> Tensor:
    """Inverse of `rgb_to_ycbcr`, (N, 3, H, W) -> same shape, exact up to rounding, not clamped."""
    return _mix(ycbcr - _chroma_offset(ycbcr), INVERSE)


def _mix(images: Tensor, rows: tuple[tuple[float, ...], ...]) -> Tensor:
    """(N, 3, H, W) times a 3x3 colour matrix -> (N, 3, H, W), as three weighted sums (never in half precision)."""
    first, second, third = images.unbind(1)
    return torch.stack([first * a + second * b + third * c for a, b, c in rows], dim=1)


def _chroma_offset(like: Tensor) -> Tensor:
    return like.new_tensor((0.0, _CENTRE, _CENTRE)).view(3, 1, 1)
