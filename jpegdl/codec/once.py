"""Closed-form gradients that must not be differentiated again, and say so."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

Gradients = tuple[Tensor | None, ...]


def first_derivative_only(backward: Callable[[Any, Tensor], Gradients]) -> Callable[[Any, Tensor], Gradients]:
    """For `Function.backward`: compute without a graph; a derivative of the result raises RuntimeError.

    torch's `once_differentiable` refuses only where the incoming gradient has a graph, and is silently wrong where the
    second derivative comes from the inputs alone.
    """

    @wraps(backward)
    def guarded(ctx: Any, gradient: Tensor) -> Gradients:
        with torch.no_grad():
            found = backward(ctx, gradient)
        if not torch.is_grad_enabled():
            return found
        return tuple(f if f is None else _Refuse.apply(f, gradient, *ctx.saved_tensors) for f in found)

    return guarded


class _Refuse(Function):
    @staticmethod
    def forward(ctx: Any, gradient: Tensor, *sources: Tensor) -> Tensor:
        return gradient.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Gradients:
        raise RuntimeError(
            "the JPEG layer and its quantizers have no second derivatives; detach their gradient, "
            "or write the quantizer with a level dimension as benchmarks/reference.py does"
        )
