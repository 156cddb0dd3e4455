"""The paper's quantizer (section 3.2): the mean over all levels -L q .. L q, exact without adding them up.

For rows, as in window.py: z (R, M), step and alpha (R, 1). The sum over an unlimited set of levels is a theta function
of u = z/q, so by Poisson's formula (h = alpha q^2 hardness, r_k = exp(-pi^2 k^2 / h))

    m = u + d,  d = T' / (2 h T),  T(u) = 1 + 2 sum_k r_k cos(2 pi k u),

where two terms suffice up to h = pi, none (the identity) below 0.4, and from pi on the window of five is as exact. The
limit L matters only to coefficients within sqrt(28 / h) levels of it; theirs is the finite sum, in float64. Derivation:
performance section 4. Every branch is within 1e-8 of a step of the full sum, besides rounding.
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from jpegdl.codec.moments import Anchored, Derivatives, Moments, assemble, offset_from, replace_rows
from jpegdl.codec.window import window_derivatives, window_value

IDENTITY_BELOW, WINDOW_FROM = 0.4, math.pi  # hardness
_EDGE = 28.0  # the weight of the levels that the limit cuts off is below exp(-28) further inside
_NEGLIGIBLE = 41.0  # exp(-41) is 1e-18


def all_levels_value(z: Tensor, step: Tensor, alpha: Tensor, max_index: int | None) -> Tensor:
    """Mean level, grey levels: z (R, M), step and alpha (R, 1) -> (R, M)."""
    value = z.clone()
    h = alpha * step * step
    for rows in _rows_where((h >= IDENTITY_BELOW) & (h < WINDOW_FROM)):
        value.index_copy_(0, rows, _theta_value(z[rows], step[rows], h[rows]))
    for rows in _rows_where(~(h < WINDOW_FROM)):
        value.index_copy_(0, rows, window_value(z[rows], step[rows], alpha[rows], max_index))
    for at in _near_limit(z, step, h, max_index):
        q = step[at[0], 0].double()
        nearest, sign, sums = _finite_sums(z[at].double(), q, alpha[at[0], 0].double(), max_index, highest=1)
        value.index_put_(at, ((nearest.anchor + sign * sums[1] / sums[0]) * q).to(value.dtype))
    return value


def all_levels_derivatives(
    z: Tensor, step: Tensor, alpha: Tensor, max_index: int | None, *, by_alpha: bool
) -> Derivatives:
    """Derivatives of `all_levels_value`: z (R, M), step and alpha (R, 1) -> two or three of (R, M)."""
    zero = torch.zeros_like(z)
    found = Derivatives(torch.ones_like(z), zero, zero.clone() if by_alpha else None)
    h = alpha * step * step
    for rows in _rows_where((h >= IDENTITY_BELOW) & (h < WINDOW_FROM)):
        found = replace_rows(found, rows, _theta_derivatives(z[rows], step[rows], h[rows], by_alpha))
    for rows in _rows_where(~(h < WINDOW_FROM)):
        window = window_derivatives(z[rows], step[rows], alpha[rows], max_index, by_alpha=by_alpha)
        found = replace_rows(found, rows, window)
    for at in _near_limit(z, step, h, max_index):
        q, a = step[at[0], 0].double(), alpha[at[0], 0].double()
        nearest, sign, sums = _finite_sums(z[at].double(), q, a, max_index, highest=3)
        mean, square, cube = sums[1:] / sums[0]
        moments = Moments(sign * mean, square - mean.square(), sign * (cube - mean * square))
        for whole, part in zip(found, assemble(nearest, moments, q, a, by_alpha), strict=True):
            if whole is not None and part is not None:
                whole.index_put_(at, part.to(whole.dtype))
    return found


def _rows_where(condition: Tensor) -> Iterator[Tensor]:
    """(R, 1) -> the numbers of the rows where it holds, unless there are none."""
    rows = condition[:, 0].nonzero()[:, 0]
    if len(rows):
        yield rows


def _near_limit(z: Tensor, step: Tensor, h: Tensor, max_index: int | None) -> Iterator[tuple[Tensor, Tensor]]:
    """(row, column) of the coefficients whose sum the limit changes and the window does not cover, unless none are."""
    if max_index is None or z.numel() == 0:
        return
    bound = step * (max_index + 1 - torch.sqrt(_EDGE / h + 0.25))
    bound = torch.where(h < WINDOW_FROM, bound, math.inf)
    reached = ~(torch.maximum(z.amax(-1), -z.amin(-1)) <= bound[:, 0])  # one that is no number hides others
    for rows in _rows_where(reached[:, None]):
        row, column = (z[rows].abs() > bound[rows]).nonzero().unbind(1)
        if len(row):
            yield rows[row], column


def _theta(z: Tensor, step: Tensor, h: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """(sin x, cos x, 1 / T, r_1, r_2) with x = 2 pi z / q; two terms of T."""
    first, second = torch.exp(-(math.pi**2) / h), torch.exp(-4 * math.pi**2 / h)
    phase = offset_from(torch.mul(z, 1 / step).round_(), z, step).mul_(2 * math.pi / step)
    cosine, sine = torch.cos(phase), phase.sin_()
    inverse = (4 * second * cosine).add_(2 * first).mul_(cosine).add_(1 - 2 * second).reciprocal_()
    return sine, cosine, inverse, first, second


def _theta_value(z: Tensor, step: Tensor, h: Tensor) -> Tensor:
    sine, cosine, inverse, first, second = _theta(z, step, h)
    slope = cosine.mul_(4 * second).add_(first)
    return slope.mul_(sine).mul_(inverse).mul_(-2 * math.pi * step / h).add_(z)


def _theta_derivatives(z: Tensor, step: Tensor, h: Tensor, by_alpha: bool) -> Derivatives:
    """With a, b, c = T', T'', T''' over T, derivatives by x: d = pi a / h, m_u - 1 = 2 pi^2 (b - a^2) / h, and by the

    heat equation m_h = -pi a / h^2 - pi^3 (c - a b) / h^3; dQ/dq = d - u (m_u - 1) + 2 h m_h and dQ/dalpha = q^3 m_h.
    """
    sine, cosine, inverse, first, second = _theta(z, step, h)
    a = torch.add(first, 4 * second * cosine).mul_(sine).mul_(inverse).mul_(-2)
    b = torch.add(8 * second * cosine * cosine - 4 * second, first * cosine).mul_(inverse).mul_(-2)
    c = torch.add(first, 16 * second * cosine).mul_(sine).mul_(inverse).mul_(2)
    third = c.addcmul_(a, b, value=-1).mul_(math.pi**3 / h**3)
    excess = b.addcmul_(a, a, value=-1).mul_(2 * math.pi**2 / h)  # m_u - 1
    by_hardness = torch.mul(a, -math.pi / h**2).sub_(third)
    by_step = a.mul_(math.pi / h).addcmul_(z / step, excess, value=-1).addcmul_(by_hardness, 2 * h.expand_as(a))
    return Derivatives(excess.add_(1), by_step, by_hardness.mul_(step**3) if by_alpha else None)


def _finite_sums(
    z: Tensor, step: Tensor, alpha: Tensor, max_index: int | None, highest: int
) -> tuple[Anchored, Tensor, Tensor]:
    """Coefficients (E,) near the limit, float64 -> nearest level, sign, sums of w, g w .. g^highest w (highest + 1, E).

    g = j - n, mirrored by the sign of z; only levels that weigh anything are added up.
    """
    if max_index is None:
        raise ValueError("there is no limit to be near to")
    sign = torch.ones_like(z).copysign_(z)
    anchor = torch.round(z / step).clamp_(-max_index, max_index)
    offset = z - anchor * step
    h, distance = alpha * step * step, offset * sign / step
    room = max_index - anchor.abs()
    # The last level inwards that weighs anything solves h (k^2 + 2 k d) = 41; outwards at most `room` exist.
    inwards = _NEGLIGIBLE / h / (torch.sqrt(distance.square() + _NEGLIGIBLE / h) + distance)
    outwards = torch.minimum(distance + torch.sqrt(distance.square() + _NEGLIGIBLE / h), room)
    count = torch.maximum(inwards, outwards).ceil().clamp_(1, 2 * max_index)
    sums = torch.zeros(highest + 1, len(z), dtype=z.dtype, device=z.device)
    buckets = torch.ceil(torch.log2(count))  # coefficients with equally long sums together
    for bucket in buckets.unique().tolist():
        chosen = (buckets == bucket).nonzero()[:, 0]
        longest = min(2 ** int(bucket), 2 * max_index)
        part = _sums(h[chosen], distance[chosen], room[chosen], longest, max_index, highest)
        sums.index_copy_(1, chosen, part)
    return Anchored(anchor, offset), sign, sums


def _sums(h: Tensor, distance: Tensor, room: Tensor, count: int, max_index: int, highest: int) -> Tensor:
    """Sums of g^p w, p = 0 .. highest, over the existing levels g = -count .. count; w = exp(-h (g^2 - 2 g d)).

    Each weight is the one before times a ratio, which falls by exp(-2 h): in float64 good to count^2 / 2 roundings.
    """
    sums = torch.zeros(highest + 1, len(h), dtype=h.dtype, device=h.device)
    sums[0] = 1
    decay = torch.exp(-2 * h)
    for side, last in ((1, room), (-1, 2 * max_index - room)):
        weight = torch.ones_like(h)
        ratio = (2 * side * distance - 1).mul_(h).clamp_(max=0.0).exp_()
        for k in range(1, count + 1):
            weight.mul_(ratio).mul_(last >= k)
            ratio.mul_(decay)
            for power, total in enumerate(sums):
                total.add_(weight, alpha=float(side * k) ** power)
    return sums
