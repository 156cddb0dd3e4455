"""The executed quantizer (paper appendix A.12): five levels around each coefficient, in closed form.

Everything is written for rows: z (R, M), step and alpha (R, 1). With n = round(z/q), f = z/q - n and a = |f|, the
levels n + g, mirrored so that f >= 0, have the weights exp(-h (g^2 - 2 g a)) relative to the nearest one:

    g = 1: E = exp(-h (1 - 2 a))    g = -1: B = exp(-h (1 + 2 a)) = exp(-2 h) / E    g = +-2: exp(-2 h) E^2, B^2

so one exponential gives all moments. At the index limit L the window is shifted inside, and levels on one side are
exchanged for further ones on the other. Derivation and source: method a.5, a.6 and performance section 4.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

REACH = 2  # levels on each side of the nearest one: a window of five
LEAST = -43.0  # exponents below are as good as this one; squares of smaller numbers would be slow (denormal)


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


class Constants(NamedTuple):
    """What the window needs of a table, each (R, 1); h is the hardness."""

    inverse: Tensor  # 1 / q
    half: Tensor  # q / 2
    high: Tensor  # q = high + low; products of high with an index are exact
    low: Tensor
    rate: Tensor  # 2 h / q
    decay: Tensor  # exp(-2 h), 0 where the weights that contain it are far below rounding
    rest: Tensor  # 1 - 2 decay^2


def constants(step: Tensor, alpha: Tensor) -> Constants:
    """Step and alpha (R, 1) -> what `window_value` and `window_derivatives` otherwise compute at each call."""
    high = _high_half(step)
    rate = 2 * alpha * step
    decay = torch.exp(-rate * step)
    decay = decay.masked_fill_(decay < (1e-18 if step.dtype == torch.float32 else 1e-60), 0.0)
    return Constants(1 / step, step / 2, high, step - high, rate, decay, 1 - 2 * decay * decay)


def window_value(
    z: Tensor, step: Tensor, alpha: Tensor, max_index: int | None, known: Constants | None = None
) -> Tensor:
    """Mean level, grey levels: z (R, M), step and alpha (R, 1) -> (R, M)."""
    value = _value_inside(z, step, known or constants(step, alpha))
    for at in _limited(z, step, alpha, max_index):
        _put(value, at, _value_limited(at.z, at.step, at.alpha, at.max_index))
    return value


def window_derivatives(
    z: Tensor, step: Tensor, alpha: Tensor, max_index: int | None, *, by_alpha: bool, known: Constants | None = None
) -> Derivatives:
    """Derivatives of `window_value`: z (R, M), step and alpha (R, 1) -> two or three of (R, M)."""
    found = _derivatives_inside(z, step, alpha, known or constants(step, alpha), by_alpha)
    for at in _limited(z, step, alpha, max_index):
        limited = _derivatives_limited(at.z, at.step, at.alpha, at.max_index, by_alpha)
        for whole, part in zip(found, limited, strict=True):
            if whole is not None and part is not None:
                _put(whole, at, part)
    return found


class Limited(NamedTuple):
    """The coefficients whose window is moved by the index limit, (E,) each; all (R, M) on an accelerator."""

    chosen: Tensor  # (E,) positions among R * M; or a mask (R, M)
    z: Tensor
    step: Tensor
    alpha: Tensor
    max_index: int


def _limited(z: Tensor, step: Tensor, alpha: Tensor, max_index: int | None) -> Iterator[Limited]:
    """Those there are. An accelerator is not asked how many, which would wait for it."""
    if max_index is None or z.numel() == 0:
        return
    bound = (max_index * (1 - 4e-7) - REACH + 0.5) * step  # a little early, see _weights
    if z.device.type != "cpu":
        yield Limited(z.abs() > bound, z, step, alpha, max_index)
        return
    rows = (torch.maximum(z.amax(-1), -z.amin(-1)) > bound[:, 0]).nonzero()[:, 0]
    if not len(rows):
        return
    columns, part = z.shape[1], z.index_select(0, rows)
    inside = (part.abs() > bound.index_select(0, rows)).view(-1).nonzero()[:, 0]
    if len(inside):
        row = inside.div(columns, rounding_mode="floor")
        shift = (rows - torch.arange(len(rows))).mul_(columns)  # between positions in `part` and in `z`
        table = rows.index_select(0, row)
        chosen = inside + shift.index_select(0, row)
        steps, alphas = (t.reshape(-1).index_select(0, table) for t in (step, alpha))
        yield Limited(chosen, part.view(-1).index_select(0, inside), steps, alphas, max_index)


def _put(whole: Tensor, at: Limited, part: Tensor) -> None:
    if at.chosen.dtype == torch.bool:
        torch.where(at.chosen, part, whole, out=whole)
    else:
        whole.view(-1).index_copy_(0, at.chosen, part)


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
    high = _high_half(step)
    return torch.addcmul(z, index, high, value=-1).addcmul_(index, step - high, value=-1)


def _high_half(step: Tensor) -> Tensor:
    scaled = step * (134217729.0 if step.dtype == torch.float64 else 4097.0)
    return scaled - (scaled - step)


def _neighbours(z: Tensor, known: Constants) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(n, z - n q, E, B) where no limit is near."""
    anchor = torch.mul(z, known.inverse).round_()
    offset = torch.addcmul(z, anchor, known.high, value=-1).addcmul_(anchor, known.low, value=-1)
    above = offset.abs().sub_(known.half).mul_(known.rate).clamp_(LEAST, 0.0).exp_()
    return anchor, offset, above, torch.div(known.decay, above)


def _value_inside(z: Tensor, step: Tensor, known: Constants) -> Tensor:
    anchor, offset, above, below = _neighbours(z, known)
    total = torch.add(above, below, out=anchor)  # E^2 + B^2 = total^2 - 2 decay; E^2 - B^2 = total * odd
    odd = above.sub_(below)
    spread = torch.mul(total, known.decay, out=below)
    mean = odd.addcmul_(odd, spread, value=2)
    mean /= total.addcmul_(total, spread).add_(known.rest)
    return torch.copysign(mean, offset, out=spread).mul_(step).sub_(offset).add_(z)


def _derivatives_inside(z: Tensor, step: Tensor, alpha: Tensor, known: Constants, by_alpha: bool) -> Derivatives:
    anchor, offset, above, below = _neighbours(z, known)
    total = above + below
    odd = above.sub_(below)
    spread = torch.mul(total, known.decay, out=below)
    weight = torch.addcmul(total, total, spread).add_(known.rest).reciprocal_()
    cube = torch.addcmul(odd, odd, spread, value=8).mul_(weight)
    mean = odd.addcmul_(odd, spread, value=2).mul_(weight)
    square = total.addcmul_(total, spread, value=4).sub_(4 - 4 * known.rest).mul_(weight)
    del below, weight  # memory counts here
    skew = cube.addcmul_(mean, square, value=-1)
    variance = square.addcmul_(mean, mean, value=-1)
    at = Anchored(anchor, offset, torch.sign(offset, out=spread))
    return assemble(at, Moments(mean, variance, skew), step, alpha, by_alpha)


def _weights(z: Tensor, step: Tensor, alpha: Tensor, max_index: int) -> tuple[Anchored, dict[int, Tensor]]:
    """The anchor of coefficients that reach the limit, L or L - 1, and the weight of each further level g.

    The window n - 2 .. n + 2 becomes n - 3 .. n + 1 one level before the limit and n - 4 .. n at it and beyond
    (for positive n); E and B are two exponentials here, because d = z/q - n may be large. A coefficient nearer to
    L - 2 that was chosen by rounding has the window of L - 1, and may as well be counted from there.
    """
    known = constants(step, alpha)
    decay = known.decay
    sign = torch.ones_like(z).copysign_(z)
    anchor = torch.mul(z, known.inverse).abs_().round_().clamp_(max_index - 1, max_index)
    mirrored = torch.addcmul(z.abs(), anchor, known.high, value=-1).addcmul_(anchor, known.low, value=-1)
    before = anchor < max_index  # one level before the limit
    above = (mirrored - known.half).mul_(known.rate).clamp_(max=0.0).exp_().mul_(before)
    below = (mirrored + known.half).mul_(-known.rate).clamp_(max=20.0).exp_()
    below2 = (below * below).mul_(decay)
    below3 = (below2 * below).mul_(decay * decay)
    below4 = (below2 * below2).mul_((decay * decay).square_()).mul_(before.logical_not_())
    return Anchored(anchor.mul_(sign), mirrored.mul_(sign), sign), {
        1: above,
        -1: below,
        -2: below2,
        -3: below3,
        -4: below4,
    }


def _value_limited(z: Tensor, step: Tensor, alpha: Tensor, max_index: int) -> Tensor:
    at, weights = _weights(z, step, alpha, max_index)
    (mean,) = _means(weights, 1)
    return mean.mul_(at.sign).add_(at.anchor).mul_(step)


def _derivatives_limited(z: Tensor, step: Tensor, alpha: Tensor, max_index: int, by_alpha: bool) -> Derivatives:
    at, weights = _weights(z, step, alpha, max_index)
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
