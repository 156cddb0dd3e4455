"""The optional compiled code: kernel.cpp, built on first use where a C++ compiler is, and a Triton kernel for GPUs.

The C++ library is built once for a version of the source, of PyTorch and of the processor, into the folder of torch's
extensions (TORCH_EXTENSIONS_DIR). JPEGDL_KERNEL=off refuses both. Without them the results are the same, slower.
"""

import ctypes
import hashlib
import logging
import os
import platform
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

SOURCE = Path(__file__).with_name("kernel.cpp")
MOST_INDEX, MOST_ROUNDS = 2047, 8  # what the kernel is written for
# Tried in this order: a compiler may know neither this processor's name nor OpenMP (then one thread).
FLAGS = (("-march=native", "-fopenmp"), ("-fopenmp",), ())
_SECONDS = 300.0  # for one attempt to compile

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
    if os.environ.get("JPEGDL_KERNEL", "").lower() == "off":
        return None
    with _lock:
        if not _loaded:
            try:
                _loaded.append(Kernel(build()))
            except Exception as error:  # a missing compiler, a full disk: whatever it is, PyTorch does the same
                _log.warning("No compiled JPEG layer, the slower one in PyTorch is used: %s", error)
                _loaded.append(None)
        return _loaded[0]


def build(attempts: Sequence[Sequence[str]] = FLAGS) -> Path:
    """Path of the shared library, compiled with the first of the `attempts` (sets of flags) that works.

    Raises RuntimeError with the compiler's last words if none does.
    """
    cpp_extension = _cpp_extension()
    compiler = cpp_extension.get_cxx_compiler()
    parts = [SOURCE.read_bytes(), repr((compiler, attempts, torch.__version__, torch.version.git_version)).encode()]
    name = hashlib.sha256(b"\0".join([*parts, _processor()])).hexdigest()[:16]
    folder = Path(os.environ.get("TORCH_EXTENSIONS_DIR") or cpp_extension.get_default_build_root()) / "jpegdl"
    library = folder / f"kernel-{name}.so"
    if library.exists():
        return library
    folder.mkdir(parents=True, exist_ok=True)
    _log.warning("Building the compiled JPEG layer once, into %s; this takes seconds to a minute.", folder)
    paths = [f"-I{path}" for path in cpp_extension.include_paths()]
    paths += [f"-L{path}" for path in cpp_extension.library_paths()]
    said = "no compiler flags given"
    for flags in attempts:
        with tempfile.TemporaryDirectory(dir=folder) as temporary:
            made = Path(temporary) / library.name
            command = [compiler, "-std=c++20", "-O3", "-shared", "-fPIC", "-w", *flags, str(SOURCE), "-o", str(made)]
            command += [*paths, "-ltorch_cpu", "-lc10"]
            run = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
            if run.returncode == 0:
                os.replace(made, library)  # two processes may build at once; the last one wins
                return library
            said = run.stderr.strip()[-300:]
    raise RuntimeError(f"{compiler} failed: {said}")


def window_on(device: torch.device) -> ModuleType | None:
    """window_gpu.py, if its kernel gives PyTorch's results on this CUDA device; None otherwise, which is said once."""
    if device.type != "cuda" or os.environ.get("JPEGDL_KERNEL", "").lower() == "off":
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


def _cpp_extension() -> Any:
    """torch.utils.cpp_extension, without its remark on a missing CUDA runtime at import."""
    remarks = logging.getLogger("torch.utils.cpp_extension")
    level = remarks.level
    remarks.setLevel(logging.ERROR)
    try:
        from torch.utils import cpp_extension
    finally:
        remarks.setLevel(level)
    return cpp_extension


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


def _processor() -> bytes:
    """What the library may depend on when compiled for "this processor"; homes are shared between machines."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    features = sorted({line for line in lines if line.startswith(("flags", "Features"))})
    return "".join([platform.machine(), *features]).encode()
