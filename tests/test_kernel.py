"""The compiled quantizer against the same sums as the one in PyTorch (tests/test_quantizer.py).

On this processor's vectors, on narrow ones (AVX2) and built for any processor. The layer as a whole is tested in
tests/test_layer.py, both ways.
"""

import importlib
import platform
from functools import cache
from types import ModuleType

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from jpegdl.codec import build, kernel
from jpegdl.codec.layer import JPEGLayer
from tests.oracle import Exact
from tests.test_layer import gradients_of, pictures, tables
from tests.test_quantizer import (
    TINY_STEPS,
    check,
    check_large,
    coefficients,
    fractions,
    grey_levels,
    hardnesses,
    large_coefficients,
    steps,
)

FLAGS = {"narrow": ("-march=native", "-mavx2", "-mfma", "-mno-avx512f", "-fopenmp"), "any processor": ()}
WIDTHS = ("this processor", *FLAGS)


@cache
def built(width: str) -> kernel.Kernel:
    """The kernel for this processor, for one with AVX2 but without AVX-512, or without knowing the processor."""
    found = kernel.load()
    if found is None:
        pytest.skip("no compiled layer here")
    if width == "narrow" and platform.machine() not in ("x86_64", "AMD64"):
        pytest.skip("AVX2 is a matter of x86")
    if width == "narrow" and found.lanes == 8 and torch.backends.cpu.get_cpu_capability() == "AVX2":
        pytest.skip("this processor's own kernel is the narrow one")
    return kernel.Kernel(build.library((FLAGS[width],))) if width in FLAGS else found


@pytest.mark.parametrize("max_index", [127, 1023])
@pytest.mark.parametrize("all_levels", [False, True])
@pytest.mark.parametrize("width", WIDTHS)
@given(h=hardnesses, step=steps, shifts=fractions)
@settings(max_examples=30, deadline=None)
def test_value_and_derivatives_are_those_of_the_explicit_sum(
    width: str, all_levels: bool, max_index: int, h: float, step: float, shifts: list[float]
) -> None:
    z, alpha = coefficients(step, max_index, shifts), h / step**2
    found = Exact(*built(width).quantize(z, step, alpha, max_index, all_levels=all_levels))
    check(found, z, step, alpha, max_index, window=not all_levels)


@pytest.mark.parametrize("max_index", [127, 1023])
@pytest.mark.parametrize("all_levels", [False, True])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(("step", "top"), TINY_STEPS)
def test_with_a_tiny_step_nearly_all_coefficients_are_beyond_the_limit_and_as_exact(
    step: float, top: float, width: str, all_levels: bool, max_index: int
) -> None:
    z = grey_levels(top)
    found = Exact(*built(width).quantize(z, step, 5.0, max_index, all_levels=all_levels))
    check(found, z, step, 5.0, max_index, window=not all_levels)


@pytest.mark.parametrize("all_levels", [False, True])
@pytest.mark.parametrize("width", WIDTHS)
@given(h=hardnesses, step=steps, top=st.floats(2, 6), seed=st.integers(0, 99))
@settings(max_examples=10, deadline=None)
def test_without_a_limit_a_million_indices_are_as_exact_as_float32_can_tell_coefficients_apart(
    width: str, all_levels: bool, h: float, step: float, top: float, seed: int
) -> None:
    z, alpha = large_coefficients(step, 10**top, seed), h / step**2
    found = Exact(*built(width).quantize(z, step, alpha, None, all_levels=all_levels))
    check_large(found, z, step, alpha, window=not all_levels)


@pytest.mark.parametrize("all_levels", [False, True])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("h", [0.05, 0.7, 2.0, 20.0, 1000.0])
def test_beyond_a_million_indices_a_coefficient_stays_itself_to_five_ten_millionths(
    width: str, all_levels: bool, h: float
) -> None:
    z = large_coefficients(0.01, 1e8, 0)
    value, slope, *_ = built(width).quantize(z, 0.01, h / 0.01**2, None, all_levels=all_levels)
    assert ((value - z).abs() <= 0.01 + 5e-7 * z.abs()).all()
    assert slope.isfinite().all()


@pytest.mark.parametrize("width", WIDTHS)
@given(h=st.floats(3, 1000))
@settings(max_examples=30, deadline=None)
def test_midpoints_between_levels(width: str, h: float) -> None:
    z = coefficients(1.5, 127, [0.4999, 0.49999, -0.49999])
    found = Exact(*built(width).quantize(z, 1.5, h / 2.25, 127, all_levels=False))
    check(found, z, 1.5, h / 2.25, 127, window=True)


@cache
def gpu_module() -> ModuleType:
    """window_gpu.py: on the GPU if there is one, or in Triton's interpreter."""
    pytest.importorskip("triton", reason="Triton is not made for this system")
    with pytest.MonkeyPatch.context() as patch:
        if not torch.cuda.is_available():
            patch.setenv("TRITON_INTERPRET", "1")
        return importlib.import_module("jpegdl.codec.window_gpu")


@pytest.mark.parametrize("max_index", [127, 1023, None])
@given(h=hardnesses, step=steps, shifts=fractions)
@settings(max_examples=10, deadline=None)
def test_the_triton_kernel_gives_the_same(max_index: int | None, h: float, step: float, shifts: list[float]) -> None:
    gpu, device = gpu_module(), "cuda" if torch.cuda.is_available() else "cpu"
    z, alpha = coefficients(step, max_index or 127, shifts).to(device), h / step**2
    if max_index is None:
        z = z[z.abs() < 2000 * step]
    rows = (z[None].repeat(2, 1), torch.full((2, 1), step, device=device), torch.full((2, 1), alpha, device=device))
    value = gpu.window_value_gpu(*rows, max_index)[1].cpu()
    found = Exact(value, *(t[1].cpu() for t in gpu.window_derivatives_gpu(*rows, max_index, by_alpha=True)))
    check(found, z.cpu(), step, alpha, max_index or 2047, window=True)


@pytest.mark.parametrize("width", FLAGS)
def test_kernels_for_other_processors_are_the_layer_too(width: str, monkeypatch: pytest.MonkeyPatch) -> None:
    other, layer, images = built(width), JPEGLayer(tables(0), 0.5), pictures(3, 20, 52)
    assert other.lanes == 8
    wanted = gradients_of(layer, images)
    monkeypatch.setattr(kernel, "_loaded", [other])
    for got, want in zip(gradients_of(layer, images), wanted, strict=True):
        # Hardness reaches 72, which amplifies the rounding of any float32 DCT.
        torch.testing.assert_close(got, want, atol=5e-5 * (1 + want.abs().max().item()), rtol=0)


def test_infinity_saturates_and_not_a_number_stays_one() -> None:
    z = torch.tensor([float("inf"), -float("inf"), float("nan"), 1e30, 0.0])
    value = built("this processor").quantize(z, 2.0, 0.5, 127, all_levels=False)[0]
    torch.testing.assert_close(value[[0, 1, 3, 4]], torch.tensor([254.0, -254.0, 254.0, 0.0]))
    assert value[2].isnan()
