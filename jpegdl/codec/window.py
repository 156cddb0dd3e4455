"""The executed quantizer (paper appendix A.12): five levels around each coefficient, in closed form.

Everything is written for rows: z (R, M), step and alpha (R, 1). With n = round(z/q), f = z/q - n and a = |f|, the
levels n + g, mirrored so that f >= 0, have the weights exp(-h (g^2 - 2 g a)) relative to the nearest one:

    g = 1: E = exp(-h (1 - 2 a))    g = -1: B = exp(-h (1 + 2 a)) = exp(-2 h) / E    g = +-2: exp(-2 h) E^2, B^2

so one exponential gives all moments. At the index limit L the window is shifted inside. The outermost one is L .. L - 4
at any distance; counted from L its weights are 1, E, d E^2, d^3 E^3, d^6 E^4 with d = exp(-2 h) and another E.
Derivation and source: method a.5, a.6 and performance section 4.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

REACH = 2  # levels on each side of the nearest one: a window of five
LEAST = -62.0  # exponents of 2 below are as good as this one; squares of smaller numbers would be slow (denormal)


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


class Moments(NamedTuple):
    """Moments of the index difference g = j - n under the weights."""

    mean: Tensor
    variance: Tensor
    skew: Tensor  # Cov(g, g^2)


class Constants(NamedTuple):
    """What the window needs of a table, each (R, 1); h is the hardness."""

    inverse: Tensor  # 1 / q
    half: Tensor  # q / 2
    high: Tensor  # q = high + low; products of high with an index are exact
    low: Tensor
    rate: Tensor  # 2 h / q / log(2)
    decay: Tensor  # d = exp(-2 h), 0 where the weights that contain it are far below rounding
    rest: Tensor  # 1 - 2 d^2
    early: Tensor  # 1 where L - 1 has the outermost window, too; 0 where the level that it lacks has no weight
    weights: Tensor  # (R, 5): those of the outermost window, without the powers of E
    pairs: Tensor  # (R, 7): their products, times (j - i)^2, for i + j = 1 .. 7, without the powers of E


def constants(step: Tensor, alpha: Tensor) -> Constants:
    """Step and alpha (R, 1) -> what `window_value` and `window_derivatives` otherwise compute at each call."""
    single, high, h = step.dtype == torch.float32, _high_half(step), alpha * step * step
    decay = torch.exp(-2 * h)
    decay = decay.masked_fill_(decay < (1e-18 if single else 1e-60), 0.0)
    one, cube = torch.ones_like(decay), decay.pow(3)
    weights = torch.cat((one, one, decay, cube, cube * cube), dim=1)
    weights = weights.masked_fill_(weights < (1e-30 if single else 1e-200), 0.0)
    pairs = [torch.zeros_like(decay) for _ in range(7)]
    for i in range(5):
        for j in range(i + 1, 5):
            pairs[i + j - 1] += (j - i) ** 2 * weights[:, i : i + 1] * weights[:, j : j + 1]
    return Constants(
        inverse=1 / step,
        half=step / 2,
        high=high,
        low=step - high,
        rate=2 / math.log(2) * alpha * step,
        decay=decay,
        rest=1 - 2 * decay * decay,
        early=(h < (10 if single else 40)).to(step.dtype),
        weights=weights,
        pairs=torch.cat(pairs, dim=1),
    )


def window_value(
    z: Tensor, step: Tensor, alpha: Tensor, max_index: int | None, known: Constants | None = None
) -> Tensor:
    """Mean level, grey levels: z (R, M), step and alpha (R, 1) -> (R, M)."""
    known = known or constants(step, alpha)
    value = _value_inside(z, step, known)
    for rows, limit in _near_limit(z, step, max_index):
        part, tables = z.index_select(0, rows), _selected(known, rows)
        outermost = _value_outermost(part, step.index_select(0, rows), tables, limit)
        _put(value, rows, _is_outermost(part, tables, limit), outermost)
    return value


def window_derivatives(
    z: Tensor, step: Tensor, alpha: Tensor, max_index: int | None, *, by_alpha: bool, known: Constants | None = None
) -> Derivatives:
    """Derivatives of `window_value`: z (R, M), step and alpha (R, 1) -> two or three of (R, M)."""
    known = known or constants(step, alpha)
    found = _derivatives_inside(z, step, alpha, known, by_alpha)
    for rows, limit in _near_limit(z, step, max_index):
        part, steps, alphas = (t.index_select(0, rows) for t in (z, step, alpha))
        tables = _selected(known, rows)
        chosen = _is_outermost(part, tables, limit)
        outermost = _derivatives_outermost(part, steps, alphas, tables, limit, by_alpha)
        for whole, replacement in zip(found, outermost, strict=True):
            if whole is not None and replacement is not None:
                _put(whole, rows, chosen, replacement)
    return found


def _near_limit(z: Tensor, step: Tensor, max_index: int | None) -> Iterator[tuple[Tensor, int]]:
    """Numbers of the rows that come near the limit, and the limit, unless there are none.

    An accelerator is not asked, which would wait for it: all rows.
    """
    if max_index is None or z.numel() == 0:
        return
    if z.device.type != "cpu":
        yield torch.arange(len(z), device=z.device), max_index
        return
    bound = (max_index * (1 - 4e-7) - REACH + 0.5) * step[:, 0]
    rows = (torch.maximum(z.amax(-1), -z.amin(-1)) > bound).nonzero()[:, 0]
    if len(rows):
        yield rows, max_index


def _selected(known: Constants, rows: Tensor) -> Constants:
    return Constants(*(t.index_select(0, rows) for t in known))


def _put(whole: Tensor, rows: Tensor, chosen: Tensor, part: Tensor) -> None:
    whole.index_copy_(0, rows, torch.where(chosen, part, whole.index_select(0, rows)))


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
    above = offset.abs().sub_(known.half).mul_(known.rate).clamp_(LEAST, 0.0).exp2_()
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
    odd = torch.copysign(above.sub_(below), offset, out=above)
    spread = torch.mul(total, known.decay, out=below)
    weight = torch.addcmul(total, total, spread).add_(known.rest)  # the sum of all weights
    square = total.addcmul_(total, spread, value=4).sub_(4 - 4 * known.rest).div_(weight)
    inner = odd.div_(weight)
    outer = torch.mul(inner, spread, out=weight)
    mean = torch.add(inner, outer, alpha=2, out=spread)
    cube = inner.add_(outer, alpha=8)
    del below, weight, outer  # memory counts here
    skew = cube.addcmul_(mean, square, value=-1)
    variance = square.addcmul_(mean, mean, value=-1)
    return assemble(Anchored(anchor, offset), Moments(mean, variance, skew), step, alpha, by_alpha)


def _is_outermost(z: Tensor, known: Constants, max_index: int) -> Tensor:
    return torch.mul(z, known.inverse).round_().abs_() >= max_index - known.early


def _outermost(z: Tensor, known: Constants, max_index: int) -> tuple[Tensor, Tensor]:
    """(|z| - L q, E) as if all coefficients had the outermost window; E is the weight of L - 1 over that of L."""
    offset = z.abs().sub_(max_index * known.high).sub_(max_index * known.low)
    return offset, torch.add(offset, known.half).mul_(-known.rate).exp2_()


def _polynomial(x: Tensor, coefficients: Tensor) -> Tensor:
    """x (R, M), coefficients (R, K) from the constant on -> (R, M)."""
    *lower, last, first = coefficients.split(1, dim=1)
    value = torch.addcmul(last, x, first)
    for coefficient in reversed(lower):
        value = torch.addcmul(coefficient, value, x)
    return value


def _by_power(coefficients: Tensor) -> Tensor:
    """(R, K) -> each times its power: 1, 2 .. K."""
    return coefficients * torch.arange(1, coefficients.shape[1] + 1, device=coefficients.device)


def _value_outermost(z: Tensor, step: Tensor, known: Constants, max_index: int) -> Tensor:
    _, ratio = _outermost(z, known, max_index)
    total = _polynomial(ratio, known.weights)
    from_limit = _polynomial(ratio, _by_power(known.weights[:, 1:])).mul_(ratio).div_(total)
    return torch.copysign((max_index - from_limit).mul_(step), z)


def _derivatives_outermost(
    z: Tensor, step: Tensor, alpha: Tensor, known: Constants, max_index: int, by_alpha: bool
) -> Derivatives:
    """With i = L - index: Var(i) adds up w_i w_j (j - i)^2, Cov(i, i^2) the same times i + j, over (sum of w)^2."""
    offset, ratio = _outermost(z, known, max_index)
    weight = _polynomial(ratio, known.weights).reciprocal_()
    mean = _polynomial(ratio, _by_power(known.weights[:, 1:])).mul_(ratio).mul_(weight)
    weight.square_().mul_(ratio)
    variance = _polynomial(ratio, known.pairs).mul_(weight)
    skew = _polynomial(ratio, _by_power(known.pairs)).mul_(weight)
    at = Anchored(z.new_tensor(max_index), offset)
    found = assemble(at, Moments(mean.neg_(), variance, skew.neg_()), step, alpha, by_alpha)
    for odd in found[1:]:
        if odd is not None:
            odd.mul_(torch.sign(z))
    return found
