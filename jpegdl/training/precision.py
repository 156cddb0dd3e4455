"""In which precision a device trains: what it computes natively, and which layers of a network are exceptions."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

_CPU_INSTRUCTIONS = ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16")  # of bfloat16, on x86 and on ARM


def native_precision(device: torch.device) -> torch.dtype:
    """bfloat16 where the device has instructions for it, else float32: emulated, ResNet-18 trains at a twelfth of the
    speed of float32 (AVX2). The device is asked what it can, not what it is called."""
    if device.type == "cuda":
        with torch.cuda.device(device):
            native = torch.cuda.is_bf16_supported(including_emulation=False)
    elif device.type == "cpu":
        able = torch.cpu.get_capabilities()
        native = any(able.get(name, False) for name in _CPU_INSTRUCTIONS)
    else:
        native = False
    return torch.bfloat16 if native else torch.float32


def in_precision(precision: torch.dtype, device: torch.device) -> torch.autocast:
    """Inside, a network computes in bfloat16 what it can (autocast) if that is the precision, else all in float32."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == torch.bfloat16)


@contextmanager
def slow_layers_in_float32(model: nn.Module, device: torch.device) -> Iterator[None]:
    """Inside, the depthwise convolutions that have no bfloat16 kernel on a CPU are computed in float32.

    Those are the ones with a stride, whose input gradient, and those of 5x5 values, whose weight gradient falls back
    to a generic loop: 4 to 6 times slower than float32 where bfloat16 is otherwise faster (oneDNN in torch 2.11).
    EfficientNet-Lite0 trains 1.6 times as fast. Without autocast, and on other devices, nothing changes.
    """
    layers = [module for module in model.modules() if _is_slow(module)] if device.type == "cpu" else []
    for layer in layers:
        layer.forward = _in_float32(layer)
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward


def _is_slow(module: nn.Module) -> bool:
    if not isinstance(module, nn.Conv2d) or module.groups == 1 or module.groups != module.in_channels:
        return False
    return max(module.stride) > 1 or max(module.kernel_size) > 3


def _in_float32(layer: nn.Module) -> Callable[[Tensor], Tensor]:
    inherited = layer.forward

    def forward(images: Tensor) -> Tensor:
        if not torch.is_autocast_enabled("cpu"):
            return inherited(images)
        with torch.autocast("cpu", enabled=False):
            return inherited(images.float()).bfloat16()

    return forward
