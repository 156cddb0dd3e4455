"""What the quantizers should give: explicit float64 sums over levels, with derivatives by hand."""

import math
from typing import NamedTuple

import torch
from torch import Tensor


class Exact(NamedTuple):
    """Value and derivatives at each coefficient, and how fast they change with z (for rounding of the result)."""

    value: Tensor
    slope: Tensor
    by_step: Tensor
    by_alpha: Tensor


def exact(
    z: Tensor, step: float, alpha: float, max_index: int | None, *, window: bool, nearest: Tensor | None = None
) -> Exact:
    """z (E,) -> sums over the levels inside the limit: the five around each coefficient, or all that weigh anything.

    `nearest`: the index (E,) to count from, if it is not to be found here. A weight falls as exp(-h k^2) with the
    distance of k levels; beyond h k^2 = 45 there is nothing that float64 keeps.
    """
    z = z.double()
    reach = 2 if window else math.ceil(math.sqrt(45 / (alpha * step**2))) + 2
    reach = reach if max_index is None else min(reach, max_index)
    first = (torch.round(z / step) if nearest is None else nearest) - reach
    if max_index is not None:
        first = first.clamp(-max_index, max_index - 2 * reach)
    index = first[:, None] + torch.arange(2 * reach + 1)
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


def extremes(z: Tensor, step: float, alpha: float, *, within: float, window: bool) -> tuple[Exact, Exact]:
    """Least and greatest of `exact`, without a limit, over coefficients at most within * |z| away from each z.

    Where a midpoint between levels is so near, either of the two is the nearest level.
    """
    z = z.double()[:, None]
    points = z + torch.linspace(-within, within, 9, dtype=torch.float64) * z.abs()
    below = torch.round(z / step - 0.5)  # the midpoint nearest to z lies between this level and the next one
    tie = (below + 0.5) * step
    reached = (tie - z).abs() <= within * z.abs()
    points = torch.cat([points, torch.where(reached, tie, z)], dim=1)
    own = torch.round(points / step)
    found = [
        exact(points.flatten(), step, alpha, None, window=window, nearest=torch.where(reached, other, own).flatten())
        for other in (below, below + 1)
    ]
    both = [torch.cat([t.view(points.shape) for t in kind], dim=1) for kind in zip(*found, strict=True)]
    return Exact(*(t.amin(1) for t in both)), Exact(*(t.amax(1) for t in both))
