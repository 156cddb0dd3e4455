"""Images -> quantized coefficients -> images as one differentiable step that keeps nothing but its inputs.

The compiled kernel does it where there is one. In PyTorch, the batch is worked through in pieces that fit the
processor's cache, forward and backward; the backward pass computes the coefficients again.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn.functional import pad

from jpegdl.codec import kernel
from jpegdl.codec.dct import BLOCK, pad_to_blocks
from jpegdl.codec.once import Gradients, first_derivative_only
from jpegdl.codec.planes import analysis, analysis_adjoint, pad_to_blocks_adjoint, synthesis, synthesis_adjoint
from jpegdl.codec.quantizer import ALL_LEVELS, FORMULAS, Formula, Quantizer
from jpegdl.codec.window import check_limit

_VALUES_AT_ONCE = {"cpu": 3 * 224 * 224}  # pixels times channels; 0.6 MB a temporary tensor
_VALUES_AT_ONCE_ELSEWHERE = 1 << 26


def roundtrip(images: Tensor, steps: Tensor, alpha: Tensor, *, max_index: int | None, quantizer: Quantizer) -> Tensor:
    """Images, 1.0 = white, (N, 3, H, W) -> their reconstruction, same shape, not clamped; float32 or float64.

    `steps`, grey levels, and `alpha`, 1 / grey level^2: (rounds, 2, 8, 8), the rounds in series, luma and chroma.
    Gradients with respect to images and steps; with respect to alpha too, by a slower way, if it wants one.
    """
    dtype = torch.promote_types(torch.promote_types(images.dtype, steps.dtype), torch.float32)
    formula = FORMULAS.get(quantizer)
    check_limit(max_index)
    if formula is not None and not (alpha.requires_grad and torch.is_grad_enabled()):
        compiled = kernel.load() if kernel.suits(images, steps, dtype, max_index) else None
        result: Tensor = _Roundtrip.apply(images, steps, alpha, _Plan(formula, max_index, dtype, compiled))
        return result
    planes = analysis(pad_to_blocks(images.to(dtype)))
    for step, softness in zip(_rows(steps), _rows(alpha), strict=True):
        planes = quantizer(planes, step.view(3, -1, 1), softness.view(3, -1, 1), max_index=max_index)
    return _cropped(planes, images.shape)


@dataclass(frozen=True)
class _Plan:
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
        with torch.autocast(images.device.type, enabled=False):
            if plan.compiled is None or plan.max_index is None:
                return _forward(images, steps.to(plan.dtype), alpha.to(plan.dtype), plan)
            pixels, step, softness = (t.to(plan.dtype).contiguous() for t in (images, steps, alpha))
            all_levels = plan.formula is ALL_LEVELS
            return plan.compiled.forward(pixels, step, softness, plan.max_index, all_levels=all_levels)

    @staticmethod
    @first_derivative_only
    def backward(ctx: Any, gradient: Tensor) -> Gradients:
        plan, (want_images, want_steps, *_) = ctx.plan, ctx.needs_input_grad
        images, steps, alpha = ctx.saved_tensors
        with torch.autocast(images.device.type, enabled=False):
            if plan.compiled is None:
                tables = (steps.to(plan.dtype), alpha.to(plan.dtype))
                by_images, by_steps = _backward(images, gradient, *tables, plan, want_images)
            else:
                by_images, by_steps = plan.compiled.backward(
                    *(t.to(plan.dtype).contiguous() for t in (images, gradient, steps, alpha)),
                    plan.max_index,
                    all_levels=plan.formula is ALL_LEVELS,
                    want_images=want_images,
                )
        return (
            None if by_images is None else by_images.to(images.dtype),
            by_steps.to(steps.dtype) if want_steps else None,
            None,
            None,
        )


def _forward(images: Tensor, steps: Tensor, alpha: Tensor, plan: _Plan) -> Tensor:
    output = torch.empty(images.shape, dtype=plan.dtype, device=images.device)
    tables = list(zip(_rows(steps), _rows(alpha), strict=True))
    for part in _parts(images):
        planes = analysis(pad_to_blocks(images[part].to(plan.dtype))).flatten(0, 1)
        for step, softness in tables:
            planes = plan.formula.value(planes, step, softness, plan.max_index)
        output[part] = _cropped(planes, output[part].shape)
    return output


def _backward(
    images: Tensor, gradient: Tensor, steps: Tensor, alpha: Tensor, plan: _Plan, want_images: bool
) -> tuple[Tensor | None, Tensor]:
    """Gradients with respect to images, if wanted, and steps (float64, added piece by piece)."""
    by_images = torch.empty(images.shape, dtype=plan.dtype, device=images.device) if want_images else None
    sums = torch.zeros(len(steps), 3, BLOCK, BLOCK, dtype=torch.float64, device=steps.device)
    tables = list(zip(_rows(steps), _rows(alpha), strict=True))
    for part in _parts(images):
        padded = pad_to_blocks(images[part].to(plan.dtype))
        inputs = [analysis(padded).flatten(0, 1)]
        for step, softness in tables[:-1]:
            inputs.append(plan.formula.value(inputs[-1], step, softness, plan.max_index))
        upstream = synthesis_adjoint(_padded_with_zeros(gradient[part].to(plan.dtype))).flatten(0, 1)
        for number in reversed(range(len(tables))):
            found = plan.formula.derivatives(inputs.pop(), *tables[number], plan.max_index, by_alpha=False)
            sums[number] += found.by_step.mul_(upstream).sum(-1).view(3, BLOCK, BLOCK)
            if number or want_images:
                upstream = found.slope.mul_(upstream)
            del found
        if by_images is not None:
            by_images[part] = pad_to_blocks_adjoint(analysis_adjoint(upstream, padded.shape), *images.shape[-2:])
    return by_images, torch.stack([sums[:, 0], sums[:, 1] + sums[:, 2]], dim=1)


def _parts(images: Tensor) -> Iterator[slice]:
    """Slices of the batch, each of about _VALUES_AT_ONCE; none for an empty batch."""
    values = _VALUES_AT_ONCE.get(images.device.type, _VALUES_AT_ONCE_ELSEWHERE)
    size = max(1, values // max(1, images[:1].numel()))
    return (slice(start, start + size) for start in range(0, len(images), size))


def _rows(tables: Tensor) -> Tensor:
    """(rounds, 2, 8, 8) -> (rounds, 192, 1): Y, Cb, Cr, row-major."""
    return tables[:, [0, 1, 1]].reshape(len(tables), 3 * BLOCK**2, 1)


def _cropped(planes: Tensor, shape: torch.Size) -> Tensor:
    """Planes (192, M) or (3, 64, M) of padded images -> images of `shape`."""
    height, width = shape[-2:]
    padded = torch.Size((shape[0], 3, height + -height % BLOCK, width + -width % BLOCK))
    return synthesis(planes.view(3, BLOCK**2, planes.shape[-1]), padded)[..., :height, :width]


def _padded_with_zeros(gradient: Tensor) -> Tensor:
    """Adjoint of the crop: (N, 3, H, W) -> (N, 3, H', W') with H', W' the next multiples of 8."""
    below, right = -gradient.shape[-2] % BLOCK, -gradient.shape[-1] % BLOCK
    return pad(gradient, (0, right, 0, below)) if below or right else gradient
