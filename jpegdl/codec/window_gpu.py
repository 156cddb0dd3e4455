"""The five-level window as one Triton kernel for a GPU; the formulas and names are those of window.py.

Tested with Triton's interpreter (TRITON_INTERPRET=1), value by value like the others; it has not yet run on a GPU.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from jpegdl.codec.moments import Derivatives

UNLIMITED = 1 << 22  # a limit beyond which float32 does not count in ones
_COLUMNS = 1024  # coefficients of one row a program


@triton.jit  # type: ignore[untyped-decorator]
def _window(  # type: ignore[no-untyped-def]
    z_at,
    step_at,
    alpha_at,
    value_at,
    slope_at,
    by_step_at,
    by_alpha_at,
    columns,
    limit,
    DERIVATIVES: tl.constexpr,  # noqa: N803 (Triton's way to write a constant)
    ALPHA: tl.constexpr,  # noqa: N803
    WIDTH: tl.constexpr,  # noqa: N803
):
    row = tl.program_id(0).to(tl.int64)
    column = tl.program_id(1) * WIDTH + tl.arange(0, WIDTH)
    inside = column < columns
    at = row * columns + column
    z = tl.load(z_at + at, mask=inside, other=0.0)
    step = tl.load(step_at + row)
    h = tl.load(alpha_at + row) * step * step
    last = limit.to(tl.float32)
    decay = tl.where(h > 41.0, 0.0, tl.exp(-2.0 * h))

    size = tl.abs(z)  # mirrored to positive
    sign = tl.where(z < 0, -1.0, 1.0)
    index = tl.minimum(size / step, last + 1.0)
    index = tl.minimum((index + 12582912.0) - 12582912.0, last)  # half to even
    scaled = step * 4097.0
    high = scaled - (scaled - step)
    offset = (size - index * high) - index * (step - high)
    rate = 2.0 * h / step
    no_one, no_two = index > last - 0.5, index > last - 1.5
    above = tl.exp(tl.minimum((offset - step * 0.5) * rate, 0.0))
    below = tl.exp(tl.minimum((offset + step * 0.5) * -rate, 0.0))
    w1 = tl.where(no_one, 0.0, above)
    w2 = tl.where(no_two, 0.0, above * above * decay)
    m2 = below * below * decay
    m3 = tl.where(no_two, m2 * below * decay * decay, 0.0)
    m4 = tl.where(no_one, m2 * m2 * decay * decay * decay * decay, 0.0)
    weight = 1.0 / (1.0 + w1 + w2 + below + m2 + m3 + m4)
    mean = (w1 + 2.0 * w2 - below - 2.0 * m2 - 3.0 * m3 - 4.0 * m4) * weight
    if DERIVATIVES:
        square = (w1 + 4.0 * w2 + below + 4.0 * m2 + 9.0 * m3 + 16.0 * m4) * weight
        cube = (w1 + 8.0 * w2 - below - 8.0 * m2 - 27.0 * m3 - 64.0 * m4) * weight
        distance = offset / step
        variance = square - mean * mean
        excess = cube - mean * square - variance * distance
        slope = 2.0 * h * variance
        tl.store(slope_at + at, slope, mask=inside)
        tl.store(by_step_at + at, sign * (index * (1.0 - slope) + mean - 2.0 * h * excess), mask=inside)
        if ALPHA:
            by_alpha = sign * (variance * distance - excess) * step * step * step
            tl.store(by_alpha_at + at, by_alpha, mask=inside)
    else:
        near = size + (mean * step - offset)
        tl.store(value_at + at, sign * tl.where(no_two, (index + mean) * step, near), mask=inside)


def window_value_gpu(z: Tensor, step: Tensor, alpha: Tensor, max_index: int | None) -> Tensor:
    """As window.window_value: z (R, M), step and alpha (R, 1), float32 -> (R, M)."""
    value = torch.empty(z.shape, device=z.device)
    _launch(z, step, alpha, max_index, (value, value, value, value), derivatives=False, by_alpha=False)
    return value


def window_derivatives_gpu(
    z: Tensor, step: Tensor, alpha: Tensor, max_index: int | None, *, by_alpha: bool
) -> Derivatives:
    """As window.window_derivatives: z (R, M), step and alpha (R, 1), float32 -> two or three of (R, M)."""
    slope, by_step = torch.empty(z.shape, device=z.device), torch.empty(z.shape, device=z.device)
    alphas = torch.empty(z.shape, device=z.device) if by_alpha else slope
    _launch(z, step, alpha, max_index, (slope, slope, by_step, alphas), derivatives=True, by_alpha=by_alpha)
    return Derivatives(slope, by_step, alphas if by_alpha else None)


def _launch(
    z: Tensor,
    step: Tensor,
    alpha: Tensor,
    max_index: int | None,
    results: tuple[Tensor, Tensor, Tensor, Tensor],
    *,
    derivatives: bool,
    by_alpha: bool,
) -> None:
    rows, columns = z.shape
    if not z.numel():
        return
    width = min(_COLUMNS, triton.next_power_of_2(columns))
    inputs = (z.contiguous(), step.contiguous(), alpha.contiguous())
    limit = UNLIMITED if max_index is None else max_index
    grid = (rows, triton.cdiv(columns, width))
    _window[grid](*inputs, *results, columns, limit, DERIVATIVES=derivatives, ALPHA=by_alpha, WIDTH=width)
