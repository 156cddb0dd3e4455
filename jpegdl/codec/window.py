"""The executed quantizer (paper appendix A.12): five levels around each coefficient, in closed form.

Everything is written for rows: z (R, M), step and alpha (R, 1). With n = round(z/q), f = z/q - n and a = |f|, the
levels n + g, mirrored so that f >= 0, have the weights exp(-h (g^2 - 2 g a)) relative to the nearest one:

    g = 1: E = exp(-h (1 - 2 a))    g = -1: B = exp(-h (1 + 2 a)) = exp(-2 h) / E    g = +-2: exp(-2 h) E^2, B^2

so one exponential gives all moments. At the index limit L the window is shifted inside, and levels on one side are
exchanged for further ones on the other. Derivation and source: method a.5, a.6 and performance section 4.
"""

from typing import NamedTuple

import torch
from torch import Tensor

REACH = 2  # levels on each side of the nearest one: a window of five


def check_limit(max_index: int | None) -> None:
    """Raise ValueError for an index limit that leaves fewer than five levels."""
    if max_index is not None and max_index < REACH:
        raise ValueError(f"max_index must be at least {REACH} (five levels), got {max_index}")


class Derivatives(NamedTuple):
    """Elementwise derivatives of a quantizer's value, each (R, M)."""

    slope: Tensor  # with respect to the coefficient
    by_step: Tensor  # at constant alpha; dimensionless
    by_alpha: Tensor | None  # grey level^3; None where it was not asked for


class Anchored(NamedTuple):
    """Where a coefficient lies relative to the anchor, the level from which its moments count."""

    anchor: Tensor  # index n
    offset: Tensor  # z - n q, grey levels
    sign: Tensor  # -1 where the levels are mirrored


class Moments(NamedTuple):
    """Moments of the index difference g = j - n, times the sign, under the weights."""

    mean: Tensor
    variance: Tensor
    skew: Tensor  # Cov(g, g^2)


def window_value(z: Tensor, step: Tensor, alpha: Tensor, max_index: int | None) -> Tensor:
    """Mean level, grey levels: z (R, M), step and alpha (R, 1) -> (R, M)."""
    rows = limited_rows(z, step, max_index)
    if max_index is None or rows is None:
        return _value_inside(z, step, alpha)
    if len(rows) == len(z):
        return _value_limited(z, step, alpha, max_index)
    value = _value_inside(z, step, alpha)
    return value.index_copy_(0, rows, _value_limited(z[rows], step[rows], alpha[rows], max_index))


def window_derivatives(z: Tensor, step: Tensor, alpha: Tensor, max_index: int | None, *, by_alpha: bool) -> Derivatives:
    """Derivatives of `window_value`: z (R, M), step and alpha (R, 1) -> two or three of (R, M)."""
    rows = limited_rows(z, step, max_index)
    if max_index is None or rows is None:
        return _derivatives_inside(z, step, alpha, by_alpha)
    if len(rows) == len(z):
        return _derivatives_limited(z, step, alpha, max_index, by_alpha)
    inside = _derivatives_inside(z, step, alpha, by_alpha)
    limited = _derivatives_limited(z[rows], step[rows], alpha[rows], max_index, by_alpha)
    return replace_rows(inside, rows, limited)


def limited_rows(z: Tensor, step: Tensor, max_index: int | None) -> Tensor | None:
    """Numbers of the rows in which some window reaches the index limit; None if there are none.

    On an accelerator, where asking would wait for the device, all rows.
    """
    if max_index is None or z.numel() == 0:
        return None
    if z.device.type != "cpu":
        return torch.arange(len(z), device=z.device)
    reached = torch.maximum(z.amax(-1), -z.amin(-1)) > (max_index - REACH + 0.499) * step[:, 0]
    rows = reached.nonzero()[:, 0]
    return rows if len(rows) else None


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
    distance = at.offset.mul_(at.sign).div_(step)
    excess = skew.addcmul_(variance, distance, value=-1)  # Cov(g, g^2) - d Var(g)
    alphas = torch.mul(variance, distance).sub_(excess).mul_(at.sign).mul_(step.pow(3)) if by_alpha else None
    odd = mean.sub_(excess.mul_(doubled)).mul_(at.sign)
    slope = variance.mul_(doubled)
    steps = odd.add_(at.anchor).addcmul_(at.anchor, slope, value=-1)
    return Derivatives(slope, steps, alphas)


def offset_from(index: Tensor, z: Tensor, step: Tensor) -> Tensor:
    """z - index * step without the rounding of the product, for |index| < 2048 (step in two halves, Veltkamp)."""
    scaled = step * (134217729.0 if step.dtype == torch.float64 else 4097.0)
    high = scaled - (scaled - step)
    return torch.addcmul(z, index, high, value=-1).addcmul_(index, step - high, value=-1)


def _double_decay(h: Tensor) -> Tensor:
    """exp(-2 h), and 0 where all weights that contain it are far below rounding (no denormal numbers)."""
    decay = torch.exp(-2 * h)
    return decay.masked_fill_(decay < 1e-36, 0.0)


def _neighbours(z: Tensor, step: Tensor, h: Tensor, decay: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(n, z - n q, E, B) where no limit is near."""
    anchor = torch.mul(z, 1 / step).round_()
    offset = offset_from(anchor, z, step)
    above = offset.abs().sub_(step / 2).mul_(2 * h / step).exp_().clamp_(1e-30, 1.0)
    return anchor, offset, above, torch.div(decay, above)


def _value_inside(z: Tensor, step: Tensor, alpha: Tensor) -> Tensor:
    h = alpha * step * step
    decay = _double_decay(h)
    offset, above, below = _neighbours(z, step, h, decay)[1:]
    total, odd = above + below, above.sub_(below)  # E^2 + B^2 = total^2 - 2 decay; E^2 - B^2 = total * odd
    spread = torch.mul(total, decay, out=below)
    mean = odd.addcmul_(odd, spread, value=2)
    mean /= total.addcmul_(total, spread).add_(1 - 2 * decay * decay)
    return torch.copysign(mean, offset, out=spread).mul_(step).sub_(offset).add_(z)


def _derivatives_inside(z: Tensor, step: Tensor, alpha: Tensor, by_alpha: bool) -> Derivatives:
    h = alpha * step * step
    decay = _double_decay(h)
    anchor, offset, above, below = _neighbours(z, step, h, decay)
    total, odd = above + below, above.sub_(below)
    spread = torch.mul(total, decay, out=below)
    weight = torch.addcmul(total, total, spread).add_(1 - 2 * decay * decay).reciprocal_()
    cube = torch.addcmul(odd, odd, spread, value=8).mul_(weight)
    mean = odd.addcmul_(odd, spread, value=2).mul_(weight)
    square = total.addcmul_(total, spread, value=4).sub_(8 * decay * decay).mul_(weight)
    del below, spread, weight  # memory counts here
    skew = cube.addcmul_(mean, square, value=-1)
    variance = square.addcmul_(mean, mean, value=-1)
    at = Anchored(anchor, offset, torch.sign(offset))
    return assemble(at, Moments(mean, variance, skew), step, alpha, by_alpha)


def _limited(z: Tensor, step: Tensor, alpha: Tensor, max_index: int) -> tuple[Anchored, dict[int, Tensor]]:
    """The anchor, moved to the limit, and the weight of each further level g; those that do not exist weigh 0.

    The window n - 2 .. n + 2 becomes n - 3 .. n + 1 one level before the limit and n - 4 .. n at it and beyond
    (for positive n); E and B are two exponentials here, because d = z/q - n may be large.
    """
    doubled = 2 * alpha * step
    decay = _double_decay(alpha * step * step)
    anchor = torch.mul(z, 1 / step).round_()
    sign = torch.ones_like(z).copysign_(anchor)
    anchor = anchor.clamp_(-max_index, max_index)
    offset = offset_from(anchor, z, step)
    mirrored = offset * sign
    one_exists = anchor.abs() < max_index
    two_exist = anchor.abs() < max_index - 1
    above = (mirrored - step / 2).clamp_(max=0.0).mul_(doubled).exp_().mul_(one_exists)
    below = mirrored.add_(step / 2).clamp_(min=0.0).mul_(-doubled).exp_()
    above2, below2 = (above * above).mul_(decay), (below * below).mul_(decay)
    weights = {
        1: above,
        2: above2.mul_(two_exist),
        -1: below,
        -2: below2,
        -3: (below2 * below).mul_(decay * decay).mul_(two_exist.logical_not_()),
        -4: (below2 * below2).mul_(decay.pow(4)).mul_(one_exists.logical_not_()),
    }
    return Anchored(anchor, offset, sign), weights


def _value_limited(z: Tensor, step: Tensor, alpha: Tensor, max_index: int) -> Tensor:
    at, weights = _limited(z, step, alpha, max_index)
    (mean,) = _means(weights, 1)
    return mean.mul_(at.sign).add_(at.anchor).mul_(step)


def _derivatives_limited(z: Tensor, step: Tensor, alpha: Tensor, max_index: int, by_alpha: bool) -> Derivatives:
    at, weights = _limited(z, step, alpha, max_index)
    mean, square, cube = _means(weights, 3)
    skew = cube.addcmul_(mean, square, value=-1)
    variance = square.addcmul_(mean, mean, value=-1)
    return assemble(at, Moments(mean, variance, skew), step, alpha, by_alpha)


def _means(weights: dict[int, Tensor], highest: int) -> list[Tensor]:
    """Means of g, g^2 .. g^highest; level 0 has weight 1."""
    inverse = torch.ones_like(weights[1])
    for weight in weights.values():
        inverse += weight
    inverse.reciprocal_()
    means = [torch.zeros_like(inverse) for _ in range(highest)]
    for g, weight in weights.items():
        for power, mean in enumerate(means, 1):
            mean.add_(weight, alpha=g**power)
    return [mean.mul_(inverse) for mean in means]
