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

from jpegdl.codec.moments import Anchored, Derivatives, Moments, assemble, high_half

REACH = 2  # levels on each side of the nearest one: a window of five
LEAST, GREATEST = (
    -62.0,
    30.0,
)  # exponents of 2: below, E is as good as this, and squares of smaller numbers would be slow
# (denormal); above 0 only where millions of levels leave the nearest one uncertain


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


def constants(step: Tensor, alpha: Tensor) -> Constants:
    """Step and alpha (R, 1) -> what `window_value` and `window_derivatives` otherwise compute at each call."""
    single, high, h = step.dtype == torch.float32, high_half(step), alpha * step * step
    decay = torch.exp(-2 * h)
    decay = decay.masked_fill_(decay < (1e-18 if single else 1e-60), 0.0)
    return Constants(
        inverse=1 / step,
        half=step / 2,
        high=high,
        low=step - high,
        rate=2 / math.log(2) * alpha * step,
        decay=decay,
        rest=1 - 2 * decay * decay,
        early=(h < (10 if single else 40)).to(step.dtype),
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
    rows = (~(torch.maximum(z.amax(-1), -z.amin(-1)) <= bound)).nonzero()[:, 0]  # one that is no number hides others
    if len(rows):
        yield rows, max_index


def _selected(known: Constants, rows: Tensor) -> Constants:
    return Constants(*(t.index_select(0, rows) for t in known))


def _put(whole: Tensor, rows: Tensor, chosen: Tensor, part: Tensor) -> None:
    whole.index_copy_(0, rows, torch.where(chosen, part, whole.index_select(0, rows)))


def _neighbours(z: Tensor, known: Constants) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(n, z - n q, E, B) where no limit is near."""
    anchor = torch.mul(z, known.inverse).round_()
    offset = torch.addcmul(z, anchor, known.high, value=-1).addcmul_(anchor, known.low, value=-1)
    above = offset.abs().sub_(known.half).mul_(known.rate).clamp_(LEAST, GREATEST).exp2_()
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


def _weights(decay: Tensor) -> list[Tensor]:
    """Of the outermost window's five levels, without the powers of E; each (R, 1)."""
    cube = decay.pow(3)
    cube = cube.masked_fill_(cube < (1e-30 if cube.dtype == torch.float32 else 1e-200), 0.0)
    one = torch.ones_like(decay)
    return [one, one, decay, cube, cube.square()]


def _polynomial(x: Tensor, coefficients: list[Tensor]) -> Tensor:
    """x (R, M), coefficients from the constant on, each (R, 1) -> (R, M)."""
    *lower, last, first = coefficients
    value = torch.addcmul(last, x, first)
    for coefficient in reversed(lower):
        value = torch.addcmul(coefficient, value, x)
    return value


def _by_power(coefficients: list[Tensor]) -> list[Tensor]:
    return [power * coefficient for power, coefficient in enumerate(coefficients, 1)]


def _value_outermost(z: Tensor, step: Tensor, known: Constants, max_index: int) -> Tensor:
    _, ratio = _outermost(z, known, max_index)
    weights = _weights(known.decay)
    from_limit = _polynomial(ratio, _by_power(weights[1:])).mul_(ratio).div_(_polynomial(ratio, weights))
    return torch.copysign((max_index - from_limit).mul_(step), z)


def _derivatives_outermost(
    z: Tensor, step: Tensor, alpha: Tensor, known: Constants, max_index: int, by_alpha: bool
) -> Derivatives:
    """With i = L - index: Var(i) adds up w_i w_j (j - i)^2, Cov(i, i^2) the same times i + j, over (sum of w)^2."""
    offset, ratio = _outermost(z, known, max_index)
    weights = one, _, d, cube, sixth = _weights(known.decay)
    pairs = [one, 4 * d, d + 9 * cube, 4 * cube + 16 * sixth, d * cube + 9 * sixth, 4 * d * sixth, cube * sixth]
    weight = _polynomial(ratio, weights).reciprocal_()
    mean = _polynomial(ratio, _by_power(weights[1:])).mul_(ratio).mul_(weight)
    weight.square_().mul_(ratio)
    variance = _polynomial(ratio, pairs).mul_(weight)
    skew = _polynomial(ratio, _by_power(pairs)).mul_(weight)
    at = Anchored(z.new_tensor(max_index), offset)
    found = assemble(at, Moments(mean.neg_(), variance, skew.neg_()), step, alpha, by_alpha)
    for odd in found[1:]:
        if odd is not None:
            odd.mul_(torch.sign(z))
    return found
