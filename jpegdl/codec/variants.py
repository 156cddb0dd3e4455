"""Quantizers beside the paper's two: parts of it alone (controls) and other ways to make rounding trainable (table 6).

All take and return grey levels, as `soft_quantize` does, and broadcast as it does. Symbols: u = z / q, L = max_index.
Gradients are autograd's of the formulas written here.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from jpegdl.codec.quantizer import MAX_INDEX, Quantizer, hard_quantize, soft_quantize, soft_quantize_all_levels


def identity(coefficients: Tensor, step: Tensor, alpha: Tensor, *, max_index: int | None = MAX_INDEX) -> Tensor:
    """Every coefficient as it is: the control for everything that a layer without quantizer still does."""
    return coefficients


def clip(coefficients: Tensor, step: Tensor, alpha: Tensor, *, max_index: int | None = MAX_INDEX) -> Tensor:
    """The index limit alone: the identity between -L q and L q, the nearer of the two outside."""
    if max_index is None:
        return coefficients
    limit = (max_index * step).expand_as(coefficients)
    return torch.minimum(torch.maximum(coefficients, -limit), limit)


def hard(coefficients: Tensor, step: Tensor, alpha: Tensor, *, max_index: int | None = MAX_INDEX) -> Tensor:
    """`hard_quantize` with the signature of the soft quantizers (paper: Q_u)."""
    return hard_quantize(coefficients, step, max_index=max_index)


def straight_through(coefficients: Tensor, step: Tensor, alpha: Tensor, *, max_index: int | None = MAX_INDEX) -> Tensor:
    """Hard rounding whose backward pass takes rounding for the identity (Esser et al. 2020, LSQ).

    By coefficient: 1 inside the limit, 0 outside; by step: round(u) - u inside, +-L outside.
    """
    index = _limited(coefficients / step, max_index)
    return step * (index + (index.round() - index).detach())


def additive_noise(coefficients: Tensor, step: Tensor, alpha: Tensor, *, max_index: int | None = MAX_INDEX) -> Tensor:
    """Uniform noise of one step instead of rounding, for training only (Balle et al. 2016); tests round."""
    return clip(coefficients + step * (torch.rand_like(coefficients) - 0.5), step, alpha, max_index=max_index)


def cubic(coefficients: Tensor, step: Tensor, alpha: Tensor, *, max_index: int | None = MAX_INDEX) -> Tensor:
    """round(u) + (u - round(u))^3 steps: rounding with a slope (Shin and Song 2017)."""
    index = _limited(coefficients / step, max_index)
    nearest = index.round().detach()
    return step * (nearest + (index - nearest) ** 3)


def _limited(index: Tensor, max_index: int | None) -> Tensor:
    return index if max_index is None else index.clamp(-max_index, max_index)


QUANTIZERS: Mapping[str, Quantizer] = {
    "five levels": soft_quantize,
    "all levels": soft_quantize_all_levels,
    "hard": hard,
    "clip": clip,
    "identity": identity,
    "straight through": straight_through,
    "additive noise": additive_noise,
    "cubic": cubic,
}
IN_TESTS: Mapping[str, str] = {"additive noise": "hard"}  # what stands for a quantizer outside training, if not itself
