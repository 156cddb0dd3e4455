from contextlib import nullcontext

import pytest
import torch
from torch import nn

from jpegdl.training.precision import native_precision, slow_layers_in_float32

# Which precision a device is given


@pytest.mark.parametrize(
    ("able", "expected"),
    [
        ({"architecture": "x86_64", "avx2": True, "avx512_bf16": False, "amx_bf16": False}, torch.float32),
        ({"architecture": "x86_64", "avx512_f": True, "avx512_bf16": False}, torch.float32),
        ({"architecture": "x86_64", "avx512_f": True, "avx512_bf16": True}, torch.bfloat16),
        ({"architecture": "x86_64", "amx_bf16": True}, torch.bfloat16),
        ({"architecture": "aarch64", "neon": True, "bf16": False}, torch.float32),
        ({"architecture": "aarch64", "neon": True, "bf16": True}, torch.bfloat16),
        ({"architecture": "riscv64"}, torch.float32),
    ],
)
def test_a_processor_trains_in_bfloat16_only_if_it_has_instructions_for_it(monkeypatch, able, expected):
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: able)
    assert native_precision(torch.device("cpu")) == expected


def test_this_processors_answer_is_that_of_torchs_own_query():
    native = torch.cpu._is_avx512_bf16_supported() or torch.cpu.get_capabilities().get("amx_bf16", False)
    if torch.cpu.get_capabilities()["architecture"] == "x86_64":
        assert native_precision(torch.device("cpu")) == (torch.bfloat16 if native else torch.float32)


@pytest.mark.parametrize(("native", "expected"), [(True, torch.bfloat16), (False, torch.float32)])
def test_a_gpu_that_only_emulates_bfloat16_trains_in_float32(monkeypatch, native, expected):
    def supported(including_emulation: bool = True) -> bool:
        return including_emulation or native

    monkeypatch.setattr("torch.cuda.is_bf16_supported", supported)
    monkeypatch.setattr("torch.cuda.device", lambda _: nullcontext())
    assert native_precision(torch.device("cuda", 0)) == expected


def test_other_devices_train_in_float32():
    assert native_precision(torch.device("meta")) == torch.float32


# Layers that stay in float32


def convolutions() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(8, 8, 3, padding=1, groups=8),
        nn.Conv2d(8, 8, 5, padding=2, groups=8),
        nn.Conv2d(8, 8, 3, stride=2, padding=1, groups=8),
        nn.Conv2d(8, 16, 1),
    )


def run(network: nn.Module, images: torch.Tensor) -> list[torch.dtype]:
    """The type of what each convolution computes with, by its weight's gradient path: dtype that reaches conv2d."""
    seen: list[torch.dtype] = []
    original = torch.nn.functional.conv2d

    def spy(input, weight, *rest):
        seen.append(torch.float32 if not torch.is_autocast_enabled("cpu") else torch.bfloat16)
        return original(input, weight, *rest)

    with pytest.MonkeyPatch.context() as patch, torch.autocast("cpu", torch.bfloat16):
        patch.setattr(torch.nn.functional, "conv2d", spy)
        network(images)
    return seen


def test_only_depthwise_convolutions_with_a_stride_or_five_values_leave_bfloat16_and_only_inside():
    network, images = convolutions(), torch.rand(2, 8, 16, 16)
    half, full = torch.bfloat16, torch.float32
    assert run(network, images) == [half, half, half, half]
    with slow_layers_in_float32(network, torch.device("cpu")):
        assert run(network, images) == [half, full, full, half]
    assert run(network, images) == [half, half, half, half]
    with slow_layers_in_float32(network, torch.device("meta")):  # another device's kernels are its own business
        assert run(network, images) == [half, half, half, half]


def gradients(network: nn.Module) -> list[torch.Tensor]:
    found = [p.grad.clone() for p in network.parameters() if p.grad is not None]
    network.zero_grad()
    return found


def test_without_autocast_nothing_changes_and_gradients_stay_close_to_float32_with_it():
    network, images = convolutions(), torch.rand(2, 8, 16, 16)
    network(images).square().sum().backward()
    exact = gradients(network)
    with slow_layers_in_float32(network, torch.device("cpu")):
        network(images).square().sum().backward()
        assert all(map(torch.equal, gradients(network), exact))
        with torch.autocast("cpu", torch.bfloat16):
            output = network(images)
        assert output.dtype == torch.bfloat16
        output.float().square().sum().backward()
    assert len(exact) == 8
    assert all((p - e).norm() <= 0.03 * e.norm() for p, e in zip(gradients(network), exact, strict=True))
