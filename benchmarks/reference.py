"""The plain layer to compare with: the paper's executed quantizer as written, with a level dimension and autograd.

After method a.5: five consecutive indices around each coefficient, a softmax over them, the weighted sum of levels;
block DCT by two broadcast products with an 8x8 matrix. It is meant to be read, and to be what one would write first.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from jpegdl.codec.color import FORWARD, INVERSE
from jpegdl.codec.dct import dct_matrix

_LEVELS = 5


class PlainLayer(nn.Module):
    """Images [0, 1], (N, 3, H, W) -> reconstruction, as JPEGLayer with one round.

    `levels`: 5 as executed, 2 * max_index + 1 for the paper's formula (in memory, all of them).
    """

    alpha: Tensor
    dct: Tensor
    forward_color: Tensor
    inverse_color: Tensor

    def __init__(self, tables: Tensor, alpha: Tensor, *, max_index: int = 127, levels: int = _LEVELS) -> None:
        super().__init__()
        self.steps = nn.Parameter(tables.detach().clone())  # (2, 8, 8)
        self.register_buffer("alpha", alpha.detach().expand(tables.shape).clone())
        self.register_buffer("dct", dct_matrix(tables.dtype))
        self.register_buffer("forward_color", torch.tensor(FORWARD, dtype=tables.dtype))
        self.register_buffer("inverse_color", torch.tensor(INVERSE, dtype=tables.dtype))
        self.max_index, self.levels = max_index, levels

    def forward(self, images: Tensor) -> Tensor:
        count, _, height, width = images.shape
        shifted = pad(images * 255, (0, -width % 8, 0, -height % 8), mode="replicate") - 128
        ycbcr = torch.einsum("kc,nchw->nkhw", self.forward_color, shifted)
        rows, columns = shifted.shape[-2] // 8, shifted.shape[-1] // 8
        blocks = ycbcr.reshape(count, 3, rows, 8, columns, 8).transpose(3, 4)
        coefficients = self.dct @ blocks @ self.dct.T
        step, alpha = (table[[0, 1, 1]].view(3, 1, 1, 8, 8) for table in (self.steps, self.alpha))
        quantized = plain_quantize(coefficients, step, alpha, self.max_index, self.levels)
        back = (self.dct.T @ quantized @ self.dct).transpose(3, 4).reshape(ycbcr.shape)
        return (torch.einsum("ck,nkhw->nchw", self.inverse_color, back) + 128)[..., :height, :width] / 255


def plain_quantize(z: Tensor, step: Tensor, alpha: Tensor, max_index: int, levels: int = _LEVELS) -> Tensor:
    """Mean of `levels` consecutive levels around each coefficient; any shape, one more dimension inside."""
    reach = levels // 2
    nearest = torch.round(z / step).detach()
    first = (nearest - reach).clamp(-max_index, max_index + 1 - levels)
    level = (first[..., None] + torch.arange(levels, device=z.device)) * step[..., None]
    weight = torch.softmax(-alpha[..., None] * (z[..., None] - level).square(), dim=-1)
    return (weight * level).sum(-1)
