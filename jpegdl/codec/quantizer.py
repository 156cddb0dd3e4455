"""Soft and hard quantization of DCT coefficients (paper section 3.2, appendix A.1 and A.12).

Symbols: z coefficient, q step, u = z/q, h = alpha q^2 hardness, L = max_index. All quantizers return reconstructed
levels in grey levels, not indices. The two soft ones are different functions below hardness 1.5 (docs/performance.md).
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.autograd import Function

from jpegdl.codec.contract import check_limit
from jpegdl.codec.kernel import window_on
from jpegdl.codec.levels import all_levels_derivatives, all_levels_value
from jpegdl.codec.moments import Derivatives
from jpegdl.codec.once import Gradients, first_derivative_only
from jpegdl.codec.window import window_derivatives, window_value

MAX_INDEX = 127  # 2**(b - 1) - 1 for b = 8 bits, the index set that the authors' code executes


class _DerivativesOfRows(Protocol):
    def __call__(
        self, z: Tensor, step: Tensor, alpha: Tensor, max_index: int | None, *, by_alpha: bool
    ) -> Derivatives: ...


class Quantizer(Protocol):
    """`soft_quantize` or a function like it: coefficients and two tables that broadcast against them -> levels."""

    def __call__(
        self, coefficients: Tensor, step: Tensor, alpha: Tensor, *, max_index: int | None = MAX_INDEX
    ) -> Tensor: ...


@dataclass(frozen=True)
class Formula:
    """A soft quantizer on rows: z (R, M), step and alpha (R, 1), without autograd."""

    value: Callable[[Tensor, Tensor, Tensor, int | None], Tensor]
    derivatives: _DerivativesOfRows


def _window_value(z: Tensor, step: Tensor, alpha: Tensor, max_index: int | None) -> Tensor:
    """`window_value`, by the Triton kernel on a GPU where that works."""
    gpu = window_on(z.device) if z.dtype == torch.float32 else None
    function = window_value if gpu is None else gpu.window_value_gpu
    return function(z, step, alpha, max_index)


def _window_derivatives(
    z: Tensor, step: Tensor, alpha: Tensor, max_index: int | None, *, by_alpha: bool
) -> Derivatives:
    gpu = window_on(z.device) if z.dtype == torch.float32 else None
    function = window_derivatives if gpu is None else gpu.window_derivatives_gpu
    return function(z, step, alpha, max_index, by_alpha=by_alpha)


WINDOW = Formula(_window_value, _window_derivatives)
ALL_LEVELS = Formula(all_levels_value, all_levels_derivatives)


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
    values beyond saturate at max_index * step. Gradients flow to all three tensors in closed form, once; only the
    inputs are kept for the backward pass, and no tensor has a level dimension. Half precision is computed and
    returned in float32, which is exact to 2e-6 of a step and 1.2e-7 of the result; without a limit, for a coefficient
    at most 1.2e-7 |z| from the given one (an eighth of a step at index 1e6). Raises ValueError for max_index < 2.
    """
    return _apply(coefficients, step, alpha, max_index, WINDOW)


def soft_quantize_all_levels(
    coefficients: Tensor, step: Tensor, alpha: Tensor, *, max_index: int | None = MAX_INDEX
) -> Tensor:
    """As `soft_quantize`, but the mean over all levels -max_index .. max_index (paper: Q_d, section 3.2).

    The identity below hardness 0.4 (and to 7e-6 of a step still at 0.7), where the window of five acts through what it
    leaves out; the same as `soft_quantize` from hardness 3.
    """
    return _apply(coefficients, step, alpha, max_index, ALL_LEVELS)


def _apply(z: Tensor, step: Tensor, alpha: Tensor, max_index: int | None, formula: Formula) -> Tensor:
    check_limit(max_index)
    dtype = torch.promote_types(z.dtype, torch.float32)
    result: Tensor = _SoftQuantize.apply(z.to(dtype), step.to(dtype), alpha.to(dtype), max_index, formula)
    return result


class _SoftQuantize(Function):
    """A formula with its derivatives; saves its inputs only."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, step: Tensor, alpha: Tensor, max_index: int | None, formula: Formula) -> Tensor:
        ctx.save_for_backward(z, step, alpha)
        ctx.max_index, ctx.formula = max_index, formula
        rows, shape, _ = _as_rows(z, step, alpha)
        return formula.value(*rows, max_index).view(shape)

    @staticmethod
    @first_derivative_only
    def backward(ctx: Any, gradient: Tensor) -> Gradients:
        z, step, alpha = ctx.saved_tensors
        rows, shape, table_shape = _as_rows(z, step, alpha)
        want_z, want_step, want_alpha = ctx.needs_input_grad[:3]
        slope, by_step, by_alpha = ctx.formula.derivatives(*rows, ctx.max_index, by_alpha=want_alpha)
        upstream = gradient.reshape(slope.shape)

        def summed(derivative: Tensor, table: Tensor) -> Tensor:
            return (upstream * derivative).sum(-1).view(table_shape).sum_to_size(table.shape)

        return (
            (upstream * slope).view(shape).sum_to_size(z.shape) if want_z else None,
            summed(by_step, step) if want_step else None,
            summed(by_alpha, alpha) if by_alpha is not None else None,
            None,
            None,
        )


def _as_rows(z: Tensor, step: Tensor, alpha: Tensor) -> tuple[tuple[Tensor, Tensor, Tensor], torch.Size, torch.Size]:
    """Tensors that broadcast -> z (R, M), step and alpha (R, 1); the common shape; the tables' shape before that.

    M counts the trailing dimensions over which both tables are constant, 1 if there are none.
    """
    shape = torch.broadcast_shapes(z.shape, step.shape, alpha.shape)
    tables = torch.broadcast_shapes(step.shape, alpha.shape)
    tables = torch.Size([1] * (len(shape) - len(tables)) + list(tables))
    leading = len(shape)
    while leading and tables[leading - 1] == 1:
        leading -= 1
    table_shape = torch.Size([*shape[:leading], *[1] * (len(shape) - leading)])
    count = prod(shape[:leading])
    rows = z.expand(shape).reshape(count, prod(shape[leading:])).contiguous()
    steps, alphas = (t.expand(table_shape).reshape(count, 1) for t in (step, alpha))
    return (rows, steps, alphas), torch.Size(shape), table_shape


FORMULAS: dict[Quantizer, Formula] = {soft_quantize: WINDOW, soft_quantize_all_levels: ALL_LEVELS}
