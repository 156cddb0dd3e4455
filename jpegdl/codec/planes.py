"""Colour and block DCT as two small matrix products: what the layer computes with (color.py and dct.py say what it is).

Inside the layer, coefficients lie as planes (3, 64, M): channel, frequency (8 * vertical + horizontal) and the
M = N * H/8 * W/8 blocks of a batch in reading order, so that everything that depends on a table entry is one
contiguous row. Colour and vertical DCT are one product with a (24, 24) matrix, the horizontal DCT is a second one that
transposes on the way; nothing is unfolded. The four transforms are linear maps and each other's inverse or adjoint.
"""

from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor

from jpegdl.codec.color import FORWARD, INVERSE
from jpegdl.codec.dct import BLOCK, dct_matrix

WHITE, LEVEL_SHIFT = 255.0, 128.0  # grey levels

_Map = Literal["analysis", "synthesis", "adjoint of analysis", "adjoint of synthesis"]


def pad_to_blocks_adjoint(gradient: Tensor, height: int, width: int) -> Tensor:
    """Adjoint of `dct.pad_to_blocks`: (N, C, H', W') -> (N, C, height, width), the repeats added to their source."""
    if gradient.shape[-2:] == (height, width):
        return gradient
    inside = gradient[..., :height, :width].clone()
    inside[..., -1, :] += gradient[..., height:, :width].sum(-2)
    inside[..., :, -1] += gradient[..., :height, width:].sum(-1)
    inside[..., -1, -1] += gradient[..., height:, width:].sum((-2, -1))
    return inside


def analysis(images: Tensor) -> Tensor:
    """Images, 1.0 = white, (N, 3, H, W) -> DCT planes (3, 64, M) of level-shifted YCbCr, grey levels.

    H and W are multiples of 8. The DCT is orthonormal, the scaling of the JPEG standard: row 0 of a channel is 8 x
    block mean; row 8 i + j has vertical frequency i and horizontal frequency j, the order of a quantization table.
    """
    planes = _to_planes(images, "analysis")
    planes[0, 0] -= BLOCK * LEVEL_SHIFT
    return planes


def synthesis(planes: Tensor, shape: torch.Size, out: Tensor | None = None) -> Tensor:
    """Inverse of `analysis`: planes (3, 64, M) -> images of `shape` = (N, 3, H, W), 1.0 = white, not clamped.

    Into `out` if given. Overwrites `planes`, unless their gradient is recorded.
    """
    planes = planes.clone() if planes.requires_grad else planes
    planes[0, 0] += BLOCK * LEVEL_SHIFT
    return _to_images(planes, shape, "synthesis", out)


def analysis_adjoint(gradient: Tensor, shape: torch.Size, out: Tensor | None = None) -> Tensor:
    """Gradient with respect to planes (3, 64, M) -> gradient with respect to images of `shape`, into `out` if given."""
    return _to_images(gradient, shape, "adjoint of analysis", out)


def synthesis_adjoint(gradient: Tensor) -> Tensor:
    """Gradient with respect to images (N, 3, H, W) -> gradient with respect to planes (3, 64, M)."""
    return _to_planes(gradient, "adjoint of synthesis")


def _to_planes(images: Tensor, linear_map: _Map) -> Tensor:
    """(N, 3, H, W) -> (3, 64, M)."""
    count, channels, height, width = images.shape
    vertical, horizontal = _matrices(linear_map, images.dtype, images.device)
    with torch.autocast(images.device.type, enabled=False):
        rows = images.reshape(count, channels, height // BLOCK, BLOCK, width).permute(1, 3, 0, 2, 4)
        mixed = vertical @ rows.reshape(len(vertical), count * height // BLOCK * width)
        blocks = mixed.view(len(vertical), count * height * width // BLOCK**2, BLOCK)
        return (horizontal @ blocks.transpose(1, 2)).view(channels, BLOCK * BLOCK, blocks.shape[1])


def _to_images(planes: Tensor, shape: torch.Size, linear_map: _Map, out: Tensor | None) -> Tensor:
    """(3, 64, M) -> (N, 3, H, W)."""
    count, channels, height, width = shape
    vertical, horizontal = _matrices(linear_map, planes.dtype, planes.device)
    with torch.autocast(planes.device.type, enabled=False):
        blocks = (horizontal @ planes.reshape(len(vertical), BLOCK, planes.shape[-1])).transpose(1, 2)
        mixed = vertical @ blocks.reshape(len(vertical), planes.shape[-1] * BLOCK)
        rows = mixed.view(channels, BLOCK, count, height // BLOCK, width).permute(2, 0, 3, 1, 4)
        if out is None:
            return rows.reshape(shape)
        out.unflatten(2, (height // BLOCK, BLOCK)).copy_(rows)
        return out


@lru_cache(maxsize=32)
def _matrices(linear_map: _Map, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """The (24, 24) product of colour and vertical DCT, and the (8, 8) horizontal DCT, of one linear map."""
    dct, color, inverse = dct_matrix(), WHITE * _float64(FORWARD), _float64(INVERSE) / WHITE
    back = dct.T.contiguous()
    vertical, horizontal = {
        "analysis": (torch.kron(color, dct), dct),
        "synthesis": (torch.kron(inverse, back), back),
        "adjoint of analysis": (torch.kron(color.T.contiguous(), back), back),
        "adjoint of synthesis": (torch.kron(inverse.T.contiguous(), dct), dct),
    }[linear_map]
    with torch.inference_mode(False):
        vertical, horizontal = (m.to(dtype=dtype, device=device).contiguous() for m in (vertical, horizontal))
    return vertical, horizontal


def _float64(rows: tuple[tuple[float, ...], ...]) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64)
