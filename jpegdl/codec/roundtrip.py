"""Images -> quantized coefficients -> images as one differentiable step that keeps nothing but its inputs.

The compiled kernel does it where there is one. In PyTorch, the batch is worked through in pieces that fit the
processor's cache, forward and backward; the backward pass computes the coefficients again.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import Function, forward_ad
from torch.nn.functional import pad

from jpegdl.codec import kernel
from jpegdl.codec.contract import check_given
from jpegdl.codec.dct import BLOCK, pad_to_blocks
from jpegdl.codec.once import Gradients, first_derivative_only
from jpegdl.codec.planes import analysis, analysis_adjoint, pad_to_blocks_adjoint, synthesis, synthesis_adjoint
from jpegdl.codec.quantizer import ALL_LEVELS, FORMULAS, WINDOW, Formula, Quantizer
from jpegdl.codec.window import Constants, constants, window_derivatives, window_value

# Values (pixels times channels) at once. On the CPU, calls count for small pictures, memory for large ones.
_AT_ONCE, _AT_ONCE_ON_ACCELERATORS = 1 << 19, 1 << 26
_LARGE = 3 * 160 * 160  # values of a picture
_LARGE_FORWARD, _LARGE_BACKWARD = 3 * 224 * 224, 3 * 224 * 112  # backward has more temporary tensors


def roundtrip(images: Tensor, steps: Tensor, alpha: Tensor, *, max_index: int | None, quantizer: Quantizer) -> Tensor:
    """Images, 1.0 = white, (N, 3, H, W) -> their reconstruction, same shape, not clamped; float32 or float64.

    `steps`, grey levels, and `alpha`, 1 / grey level^2: (rounds, 2, 8, 8), the rounds in series, luma and chroma.
    Gradients with respect to images and steps; with respect to alpha too, by a slower way, if it wants one. A value
    that is not finite spoils its own 8x8 block and the gradients of the tables, nothing else. Raises ValueError for
    whatever else comes (contract.py).
    """
    check_given(images, steps, alpha, max_index)
    formula, recorded = FORMULAS.get(quantizer), torch.is_grad_enabled()
    dtype = torch.promote_types(torch.promote_types(images.dtype, steps.dtype), torch.float32)
    if formula is None or (recorded and alpha.requires_grad):
        planes = analysis(pad_to_blocks(images.to(dtype)))
        for step, softness in zip(_rows(steps), _rows(alpha), strict=True):
            planes = quantizer(planes, step.view(3, -1, 1), softness.view(3, -1, 1), max_index=max_index)
        return _cropped(planes, images.shape)
    compiled = kernel.load() if kernel.suits(images, steps, dtype, max_index) else None
    plan = _Plan(formula, max_index, dtype, compiled)
    if (recorded and (images.requires_grad or steps.requires_grad)) or _is_dual(images) or _is_dual(steps):
        result: Tensor = _Roundtrip.apply(images, steps, alpha, plan)
        return result
    return _output(images, steps, alpha, plan)  # recording would take a tenth of a small picture's time


class _Plan(NamedTuple):
    """How one call is computed, the same backward as forward."""

    formula: Formula
    max_index: int | None
    dtype: torch.dtype
    compiled: kernel.Kernel | None


class _Roundtrip(Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor, steps: Tensor, alpha: Tensor, plan: _Plan) -> Tensor:
        ctx.save_for_backward(images, steps, alpha)
        ctx.plan = plan
        return _output(images, steps, alpha, plan)

    @staticmethod
    @first_derivative_only
    def backward(ctx: Any, gradient: Tensor) -> Gradients:
        plan, (want_images, want_steps, *_) = ctx.plan, ctx.needs_input_grad
        images, steps, alpha = ctx.saved_tensors
        by_images, by_steps = _input_gradients(images, steps, alpha, gradient, plan, want_images)
        return (
            None if by_images is None else by_images.to(images.dtype),
            by_steps.to(steps.dtype) if want_steps else None,
            None,
            None,
        )


def _is_dual(tensor: Tensor) -> bool:
    """Whether forward-mode differentiation is at work: `Function.apply` refuses it, where silence would be wrong."""
    return forward_ad.unpack_dual(tensor).tangent is not None


def _output(images: Tensor, steps: Tensor, alpha: Tensor, plan: _Plan) -> Tensor:
    if plan.compiled is not None:
        tables = (_plain(steps, plan.dtype), _plain(alpha, plan.dtype))
        all_levels = plan.formula is ALL_LEVELS
        return plan.compiled.forward(_plain(images, plan.dtype), *tables, plan.max_index, all_levels=all_levels)
    with torch.autocast(images.device.type, enabled=False):
        return _forward(images, steps, alpha, plan)


def _input_gradients(
    images: Tensor, steps: Tensor, alpha: Tensor, gradient: Tensor, plan: _Plan, want_images: bool
) -> tuple[Tensor | None, Tensor]:
    """Gradients with respect to images, if wanted, and steps (float64)."""
    if plan.compiled is not None:
        pixels, upstream, step, softness = (_plain(t, plan.dtype) for t in (images, gradient, steps, alpha))
        return plan.compiled.backward(
            pixels,
            upstream,
            step,
            softness,
            plan.max_index,
            all_levels=plan.formula is ALL_LEVELS,
            want_images=want_images,
        )
    with torch.autocast(images.device.type, enabled=False):
        return _backward(images, gradient, steps, alpha, plan, want_images)


def _plain(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    return tensor if tensor.dtype == dtype and tensor.is_contiguous() else tensor.to(dtype).contiguous()


def _forward(images: Tensor, steps: Tensor, alpha: Tensor, plan: _Plan) -> Tensor:
    output = torch.empty(images.shape, dtype=plan.dtype, device=images.device)
    rounds = _tables(steps, alpha, plan.dtype)
    for part in _parts(images, _LARGE_FORWARD):
        planes = analysis(pad_to_blocks(images[part].to(plan.dtype))).flatten(0, 1)
        for tables in rounds:
            planes = _value(planes, tables, plan)
        _cropped(planes, output[part].shape, output[part])
    return output


def _backward(
    images: Tensor, gradient: Tensor, steps: Tensor, alpha: Tensor, plan: _Plan, want_images: bool
) -> tuple[Tensor | None, Tensor]:
    by_images = torch.empty(images.shape, dtype=plan.dtype, device=images.device) if want_images else None
    sums = torch.zeros(len(steps), 3, BLOCK, BLOCK, dtype=torch.float64, device=steps.device)
    rounds = _tables(steps, alpha, plan.dtype)
    for part in _parts(images, _LARGE_BACKWARD):
        padded = pad_to_blocks(images[part].to(plan.dtype))
        inputs = [analysis(padded).flatten(0, 1)]
        for tables in rounds[:-1]:
            inputs.append(_value(inputs[-1], tables, plan))
        for number in reversed(range(len(rounds))):
            slope, by_step = _derivatives(inputs.pop(), rounds[number], plan)
            if number == len(rounds) - 1:  # not earlier: memory counts here
                upstream = synthesis_adjoint(_padded_with_zeros(gradient[part].to(plan.dtype))).flatten(0, 1)
            sums[number] += by_step.mul_(upstream).sum(-1).view(3, BLOCK, BLOCK)
            upstream = slope.mul_(upstream)
            del slope, by_step
        if by_images is not None:
            if padded.shape == images[part].shape:
                analysis_adjoint(upstream, padded.shape, by_images[part])
            else:
                whole = analysis_adjoint(upstream, padded.shape)
                by_images[part] = pad_to_blocks_adjoint(whole, *images[part].shape[-2:])
        del upstream
    return by_images, torch.stack([sums[:, 0], sums[:, 1] + sums[:, 2]], dim=1)


class _Rows(NamedTuple):
    """One round's tables as rows (192, 1): Y, Cb, Cr, row-major; and what the window computes from them."""

    step: Tensor
    alpha: Tensor
    known: Constants


class _Kept(NamedTuple):
    steps: Tensor
    alpha: Tensor
    dtype: torch.dtype
    rounds: tuple[_Rows, ...]


_kept: tuple[_Kept, ...] = ()  # replaced as a whole, so that threads need no lock


def _tables(steps: Tensor, alpha: Tensor, dtype: torch.dtype) -> tuple[_Rows, ...]:
    """Rows of each round; on the CPU those of the last call, for as long as the tables' numbers are the same.

    Numbers are compared, not versions: tables changed through `.data` have the same version and tables reloaded with
    the same numbers another. On an accelerator comparing would wait for it.
    """
    global _kept
    local = steps.device.type == "cpu"
    for kept in _kept if local else ():
        if kept.dtype == dtype and torch.equal(kept.steps, steps) and torch.equal(kept.alpha, alpha):
            return kept.rounds
    with torch.inference_mode(False), torch.no_grad():
        rows = zip(_rows(steps.detach().to(dtype)), _rows(alpha.detach().to(dtype)), strict=True)
        rounds = tuple(_Rows(step, softness, constants(step, softness)) for step, softness in rows)
        if local:
            _kept = (_Kept(steps.detach().clone(), alpha.detach().clone(), dtype, rounds), *_kept[:1])
    return rounds


def _value(z: Tensor, tables: _Rows, plan: _Plan) -> Tensor:
    if plan.formula is WINDOW and z.device.type == "cpu":
        return window_value(z, tables.step, tables.alpha, plan.max_index, tables.known)
    return plan.formula.value(z, tables.step, tables.alpha, plan.max_index)


def _derivatives(z: Tensor, tables: _Rows, plan: _Plan) -> tuple[Tensor, Tensor]:
    """By coefficient and by step."""
    given = (z, tables.step, tables.alpha, plan.max_index)
    if plan.formula is WINDOW and z.device.type == "cpu":
        found = window_derivatives(*given, by_alpha=False, known=tables.known)
    else:
        found = plan.formula.derivatives(*given, by_alpha=False)
    return found.slope, found.by_step


def _parts(images: Tensor, of_large: int) -> Iterator[tuple[slice, slice, slice]]:
    """The batch at once; or pieces of `of_large` or _AT_ONCE values: some images, or a strip of blocks of one."""
    count, channels, height, width = images.shape
    values = _AT_ONCE if images.is_cpu else _AT_ONCE_ON_ACCELERATORS
    one = max(1, channels * height * width)
    if images.is_cpu and one >= _LARGE and count * one > values:
        values = of_large
    size = max(1, -(-count // max(1, round(count * one / values))))
    lines = max(1, values // max(1, size * channels * width * BLOCK)) * BLOCK
    for start in range(0, count, size):
        for top in range(0, height, lines):
            yield slice(start, start + size), slice(None), slice(top, top + lines)


def _rows(tables: Tensor) -> Tensor:
    """(rounds, 2, 8, 8) -> (rounds, 192, 1): Y, Cb, Cr, row-major."""
    return tables[:, [0, 1, 1]].reshape(len(tables), 3 * BLOCK**2, 1)


def _cropped(planes: Tensor, shape: torch.Size, out: Tensor | None = None) -> Tensor:
    """Planes (192, M) or (3, 64, M) of padded images -> images of `shape`, into `out` if given; overwrites `planes`."""
    height, width = shape[-2:]
    padded = torch.Size((shape[0], 3, height + -height % BLOCK, width + -width % BLOCK))
    planes = planes.view(3, BLOCK**2, planes.shape[-1])
    if padded == shape:
        return synthesis(planes, padded, out)
    images = synthesis(planes, padded)[..., :height, :width]
    return images if out is None else out.copy_(images)


def _padded_with_zeros(gradient: Tensor) -> Tensor:
    """Adjoint of the crop: (N, 3, H, W) -> (N, 3, H', W') with H', W' the next multiples of 8."""
    below, right = -gradient.shape[-2] % BLOCK, -gradient.shape[-1] % BLOCK
    return pad(gradient, (0, right, 0, below)) if below or right else gradient
