"""The optional compiled code: kernel.cpp, built on first use where a C++ compiler is, and a Triton kernel for GPUs.

build.py says where the C++ library lies and how it is made. JPEGDL_KERNEL=off refuses both. Without them the results
are the same, slower.
"""

import ctypes
import logging
import os
import threading
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from jpegdl.codec import build

MOST_INDEX, MOST_ROUNDS = 2047, 8  # what the kernel is written for

_log = logging.getLogger(__name__)
_lock = threading.Lock()
_loaded: list["Kernel | None"] = []  # the answer, once it is known


class Kernel:
    """The functions of a built library; every tensor float32, contiguous, on the CPU. Several threads may call it."""

    def __init__(self, path: Path) -> None:
        self._library = ctypes.CDLL(str(path))
        pointer, integer, flag, real = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int, ctypes.c_float
        sizes: list[Any] = [integer] * 3
        tables: list[Any] = [pointer, pointer, integer, integer, flag]
        self._forward, self._backward = self._library.jpegdl_forward, self._library.jpegdl_backward
        self._quantize = self._library.jpegdl_quantize
        self._forward.argtypes = [pointer, pointer, *sizes, *tables]
        self._backward.argtypes = [pointer, pointer, pointer, pointer, *sizes, *tables]
        self._quantize.argtypes = [pointer, integer, real, real, integer, flag, pointer]
        for function in (self._forward, self._backward, self._quantize):
            function.restype = None
        self.lanes = int(self._library.jpegdl_lanes())

    def forward(
        self, images: Tensor, steps: Tensor, alpha: Tensor, max_index: int | None, *, all_levels: bool
    ) -> Tensor:
        """As roundtrip.roundtrip: images (N, 3, H, W), steps and alpha (rounds, 2, 8, 8) -> (N, 3, H, W)."""
        output = torch.empty_like(images)
        tables = (steps.data_ptr(), alpha.data_ptr(), len(steps), _limit(max_index), all_levels)
        self._forward(images.data_ptr(), output.data_ptr(), *_sizes(images), *tables)
        return output

    def backward(
        self,
        images: Tensor,
        gradient: Tensor,
        steps: Tensor,
        alpha: Tensor,
        max_index: int | None,
        *,
        all_levels: bool,
        want_images: bool,
    ) -> tuple[Tensor | None, Tensor]:
        """Gradient with respect to the output -> with respect to images, if wanted, and steps (float64)."""
        by_images = torch.empty_like(images) if want_images else None
        by_steps = torch.empty(steps.shape, dtype=torch.float64)
        results = (None if by_images is None else by_images.data_ptr(), by_steps.data_ptr())
        tables = (steps.data_ptr(), alpha.data_ptr(), len(steps), _limit(max_index), all_levels)
        self._backward(images.data_ptr(), gradient.data_ptr(), *results, *_sizes(images), *tables)
        return by_images, by_steps

    def quantize(self, z: Tensor, step: float, alpha: float, max_index: int | None, *, all_levels: bool) -> Tensor:
        """The quantizer alone, for tests: z (E,) -> (4, E): value and derivatives by z, step and alpha."""
        results = torch.empty(4, len(z))
        self._quantize(z.data_ptr(), len(z), step, alpha, _limit(max_index), all_levels, results.data_ptr())
        return results


def load() -> Kernel | None:
    """The kernel, built if it has to be; None where it is refused or cannot be had, which is said once."""
    if is_refused():
        return None
    if not _loaded:  # a lock that is not taken cannot be held where a process forks
        with _lock:
            if not _loaded:
                _loaded.append(_tried())
    return _loaded[0]


def is_refused() -> bool:
    """Whether the user wants no compiled code."""
    return os.environ.get("JPEGDL_KERNEL", "").strip().lower() == "off"


def _tried() -> Kernel | None:
    try:
        kernel = Kernel(build.library())
        _check_numbers(kernel)
    except Exception as error:  # a missing compiler, a full disk: whatever it is, PyTorch does the same
        _log.warning("No compiled JPEG layer, the slower one in PyTorch is used: %s", error)
        return None
    return kernel


def _check_numbers(kernel: Kernel) -> None:
    """Raise RuntimeError if its quantizer is not PyTorch's: a compiler may take liberties with numbers."""
    from jpegdl.codec.window import window_derivatives, window_value

    z = torch.linspace(-50, 50, 4001)[None]  # hardness 4.5, both ends beyond the limit of 38.1
    case = (z, torch.full((1, 1), 0.3), torch.full((1, 1), 50.0), 127)
    expected = (window_value(*case), *window_derivatives(*case, by_alpha=False)[:2])
    found = kernel.quantize(z[0], 0.3, 50.0, 127, all_levels=False)[:3]
    spoilt = kernel.quantize(z.new_full((1,), float("nan")), 0.3, 50.0, 127, all_levels=False)[0]
    if not torch.allclose(found, torch.cat(expected), rtol=1e-3, atol=1e-3) or not spoilt.isnan().all():
        raise RuntimeError("its results differ from PyTorch's; is there a flag like -ffast-math in CXX?")


def window_on(device: torch.device) -> ModuleType | None:
    """window_gpu.py, if its kernel gives PyTorch's results on this CUDA device; None otherwise, which is said once."""
    if device.type != "cuda" or is_refused():
        return None
    return _tried_on(device)


@cache
def _tried_on(device: torch.device) -> ModuleType | None:
    try:
        from jpegdl.codec import window_gpu
        from jpegdl.codec.window import window_derivatives, window_value

        z = torch.linspace(-50, 50, 4001, device=device)[None]  # hardness 4.5, both ends beyond the limit of 38.1
        case = (z, torch.full((1, 1), 0.3, device=device), torch.full((1, 1), 50.0, device=device), 127)
        found = (
            window_gpu.window_value_gpu(*case),
            *window_gpu.window_derivatives_gpu(*case, by_alpha=False)[:2],
        )
        expected = (window_value(*case), *window_derivatives(*case, by_alpha=False)[:2])
        if not all(torch.allclose(x, y, rtol=1e-3, atol=1e-3) for x, y in zip(found, expected, strict=True)):
            raise RuntimeError("its results differ from PyTorch's")
    except Exception as error:  # no Triton, or a device it does not know
        _log.warning("No Triton kernel on %s, the quantizer in PyTorch is used: %s", device, error)
        return None
    return window_gpu


def suits(images: Tensor, steps: Tensor, dtype: torch.dtype, max_index: int | None) -> bool:
    """Whether the kernel can do this: computed in float32 on the CPU, with a limit and a number of rounds it knows."""
    return (
        images.is_cpu
        and steps.is_cpu
        and dtype == torch.float32
        and (max_index is None or max_index <= MOST_INDEX)
        and len(steps) <= MOST_ROUNDS
        and images.numel() > 0
    )


def _limit(max_index: int | None) -> int:
    return -1 if max_index is None else max_index


def _sizes(images: Tensor) -> tuple[int, int, int]:
    count, _, height, width = images.shape
    return count, height, width
