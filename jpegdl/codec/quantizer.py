"""Soft and hard quantization of DCT coefficients (paper section 3.2, appendix A.1 and A.12).

Symbols: z coefficient, q step, u = z/q, h = alpha q^2 hardness, L = max_index. Both quantizers return reconstructed
levels in grey levels, not indices.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

MAX_INDEX = 127  # 2**(b - 1) - 1 for b = 8 bits, the index set that the authors' code executes
_REACH = 2  # levels on each side of the nearest one: a window of five


def hardness(step: Tensor, alpha: Tensor) -> Tensor:
    """alpha * step**2, dimensionless: below 0.5 the all-levels quantizer is the identity, above 10 it rounds."""
    return alpha * step.square()


def hard_quantize(coefficients: Tensor, step: Tensor, *, max_index: int | None = MAX_INDEX) -> Tensor:
    """Nearest multiple of `step` with index in -max_index..max_index (paper: Q_u); ties go to the even index.

    `step` must broadcast against `coefficients`; unit of all three: grey levels. No gradient to speak of.
    """
    index = torch.round(coefficients / step)
    return (index if max_index is None else index.clamp(-max_index, max_index)) * step


def soft_quantize(coefficients: Tensor, step: Tensor, alpha: Tensor, *, max_index: int | None = MAX_INDEX) -> Tensor:
    """Mean level under P(j | z) ~ exp(-alpha (z - j q)^2) over the five levels nearest to z (paper: Q_d, A.12).

    `coefficients` of any shape; `step` > 0 (grey levels) and `alpha` > 0 (1 / grey level^2) broadcast against them.
    Indices lie in -max_index..max_index (None: unlimited); at the limit the window of five is shifted inside, so
    values beyond saturate at max_index * step. Gradients flow to all three tensors in closed form; only the inputs
    are kept for the backward pass, and no tensor has a level dimension. Raises ValueError for max_index < 2.
    """
    if max_index is not None and max_index < _REACH:
        raise ValueError(f"max_index must be at least {_REACH} (five levels), got {max_index}")
    result: Tensor = _SoftQuantize.apply(coefficients, step, alpha, max_index)
    return result


class _SoftQuantize(Function):
    """The window of five in closed form: two exponentials a coefficient, moments and derivatives by hand."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, step: Tensor, alpha: Tensor, max_index: int | None) -> Tensor:
        ctx.save_for_backward(z, step, alpha)
        ctx.max_index = max_index
        window = _window(z, step, alpha, max_index)
        (mean,) = window.moments(1)
        return (window.anchor + window.sign * mean) * step

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        z, step, alpha = ctx.saved_tensors
        window = _window(z, step, alpha, ctx.max_index)
        mean, square, cube = window.moments(3)
        variance = square - mean.square()
        skew = cube - mean * square  # Cov(g, g^2)
        h = hardness(step, alpha)
        slope = 2 * h * variance  # dQ/dz
        grad_z = grad_step = grad_alpha = None
        if ctx.needs_input_grad[0]:
            grad_z = (gradient * slope).sum_to_size(z.shape)
        if ctx.needs_input_grad[1]:
            odd = mean + window.offset * slope - 2 * h * skew
            grad_step = (gradient * (window.anchor * (1 - slope) + window.sign * odd)).sum_to_size(step.shape)
        if ctx.needs_input_grad[2]:
            odd = 2 * window.offset * variance - skew
            grad_alpha = (gradient * window.sign * odd * step.pow(3)).sum_to_size(alpha.shape)
        return grad_z, grad_step, grad_alpha, None


class _Window(NamedTuple):
    """Five levels around each coefficient, relative to the nearest level that exists (the anchor).

    Away from the index limit the levels are anchor - 2 .. anchor + 2. At the limit the window moves inside and the
    anchor is its outermost or second outermost level; by symmetry that case is computed for positive z.
    """

    anchor: Tensor  # index of the anchor
    sign: Tensor | float  # -1 where a window at the limit was mirrored
    offset: Tensor  # d = z/q - anchor, times sign: at least -1/2
    weights: dict[int, Tensor]  # offset g of a level from the anchor -> exp(-h (g^2 - 2 g d)); 1 for g = 0

    def moments(self, highest: int) -> list[Tensor]:
        """Means of g, g^2, ... g^highest under the normalised weights."""
        total = 1 + sum(self.weights.values())
        return [sum(g**power * w for g, w in self.weights.items()) / total for power in range(1, highest + 1)]


def _window(z: Tensor, step: Tensor, alpha: Tensor, max_index: int | None) -> _Window:
    twice = 2 * hardness(step, alpha)
    decay = torch.exp(-twice)
    anchor = torch.round(z / step)
    if max_index is None or not bool((anchor.abs() > max_index - _REACH).any()):
        offset = (z - anchor * step) / step
        above, below = torch.exp(twice * (offset - 0.5)), torch.exp(-twice * (offset + 0.5))
        weights = {1: above, 2: above.square() * decay, -1: below, -2: below.square() * decay}
        return _Window(anchor, 1.0, offset, weights)

    sign = torch.ones_like(z).copysign(anchor)
    anchor = anchor.clamp(-max_index, max_index)
    offset = (z - anchor * step) / step * sign
    room = max_index - anchor.abs()  # levels that exist on the outer side
    above = torch.exp((twice * (offset - 0.5)).clamp(max=0.0))
    below = torch.exp(-twice * (offset + 0.5))
    below2 = below.square() * decay
    weights = {
        1: above.where(room >= 1, 0.0),
        2: (above.square() * decay).where(room >= 2, 0.0),
        -1: below,
        -2: below2,
        -3: (below2 * below * decay.square()).where(room < 2, 0.0),
        -4: (below2.square() * decay.pow(4)).where(room < 1, 0.0),
    }
    return _Window(anchor, sign, offset, weights)
