"""What the quantizers on rows share: derivatives from the moments of the levels around a coefficient (method a.6).

Coefficients z are (R, M), step and alpha (R, 1); q step, n the index of the level from which moments count.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class Derivatives(NamedTuple):
    """Elementwise derivatives of a quantizer's value, each (R, M)."""

    slope: Tensor  # with respect to the coefficient
    by_step: Tensor  # at constant alpha; dimensionless
    by_alpha: Tensor | None  # grey level^3; None where it was not asked for


class Anchored(NamedTuple):
    """Where a coefficient lies relative to the anchor, the level from which its moments count."""

    anchor: Tensor  # index n
    offset: Tensor  # z - n q, grey levels


class Moments(NamedTuple):
    """Moments of the index difference g = j - n under the weights."""

    mean: Tensor
    variance: Tensor
    skew: Tensor  # Cov(g, g^2)


def replace_rows(all_rows: Derivatives, rows: Tensor, part: Derivatives) -> Derivatives:
    """`all_rows` with the given rows taken from `part`, in place."""
    all_rows.slope.index_copy_(0, rows, part.slope)
    all_rows.by_step.index_copy_(0, rows, part.by_step)
    if all_rows.by_alpha is not None and part.by_alpha is not None:
        all_rows.by_alpha.index_copy_(0, rows, part.by_alpha)
    return all_rows


def assemble(at: Anchored, moments: Moments, step: Tensor, alpha: Tensor, by_alpha: bool) -> Derivatives:
    """The derivatives of n q + q E(g) from the moments of g (method a.6). Overwrites its arguments."""
    mean, variance, skew = moments
    doubled = 2 * alpha * step * step
    distance = at.offset.div_(step)
    alphas = torch.mul(variance, distance).mul_(2).sub_(skew).mul_(step.pow(3)) if by_alpha else None
    slope = variance.mul_(doubled)
    steps = mean.add_(at.anchor).addcmul_(distance.sub_(at.anchor), slope).addcmul_(skew, doubled, value=-1)
    return Derivatives(slope, steps, alphas)


def offset_from(index: Tensor, z: Tensor, step: Tensor) -> Tensor:
    """z - index * step without the rounding of the product, for |index| < 2048 (step in two halves)."""
    high = high_half(step)
    return torch.addcmul(z, index, high, value=-1).addcmul_(index, step - high, value=-1)


def high_half(step: Tensor) -> Tensor:
    """The leading half of the digits of `step`, so that products with small integers are exact (Veltkamp)."""
    scaled = step * (134217729.0 if step.dtype == torch.float64 else 4097.0)
    return scaled - (scaled - step)
