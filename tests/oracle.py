"""What the quantizers should give: explicit float64 sums over levels, with derivatives by hand."""

from typing import NamedTuple

import torch
from torch import Tensor


class Exact(NamedTuple):
    """Value and derivatives at each coefficient, and how fast they change with z (for rounding of the result)."""

    value: Tensor
    slope: Tensor
    by_step: Tensor
    by_alpha: Tensor


def exact(z: Tensor, step: float, alpha: float, max_index: int, *, window: bool) -> Exact:
    """z (E,) -> sums over all levels, or over the five around each coefficient that lie inside the limit."""
    z = z.double()
    index = torch.arange(-max_index, max_index + 1, dtype=torch.float64).expand(len(z), -1)
    if window:
        first = (torch.round(z / step) - 2).clamp(-max_index, max_index - 4)
        index = first[:, None] + torch.arange(5)
    level = index * step
    weight = torch.softmax(-alpha * (z[:, None] - level).square(), dim=1)
    mean = (weight * level).sum(1)
    from_mean = level - mean[:, None]
    misfit = (z[:, None] - level).square()
    slope = 2 * alpha * (weight * from_mean.square()).sum(1)
    by_alpha = -(weight * from_mean * misfit).sum(1)
    # d/dq of softmax: the level itself moves, and its misfit with it
    moved = index + 2 * alpha * (z[:, None] - level) * index * from_mean
    return Exact(mean, slope, (weight * moved).sum(1), by_alpha)
