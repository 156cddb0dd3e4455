"""The layer, in PyTorch and compiled, against the plain layer with a level dimension and autograd in float64."""

import copy
import threading
from collections.abc import Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.autograd import forward_ad

from benchmarks.reference import PlainLayer
from jpegdl.codec import kernel
from jpegdl.codec.layer import JPEGLayer
from jpegdl.codec.quantizer import Quantizer, soft_quantize, soft_quantize_all_levels

QUANTIZERS = {5: soft_quantize, 255: soft_quantize_all_levels}


@pytest.fixture(params=["pytorch", "compiled"])
def path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Run the test both ways; the compiled one is skipped, with the reason in the log, where it does not build."""
    if request.param == "pytorch":
        monkeypatch.setenv("JPEGDL_KERNEL", "off")
    elif kernel.load() is None:
        pytest.skip("no compiled layer here")
    return request.param


def pictures(count: int, height: int, width: int, seed: int = 0) -> Tensor:
    """Smooth colours and some noise, (count, 3, height, width), 1.0 = white."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, 2 + height // 16, 2 + width // 16, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")
    return (smooth + 0.02 * torch.randn(smooth.shape, generator=generator)).clamp(0, 1)


def tables(seed: int, low: float = 0.5, high: float = 12.0) -> Tensor:
    return torch.empty(2, 8, 8).uniform_(low, high, generator=torch.Generator().manual_seed(seed))


def gradients(layer: JPEGLayer | PlainLayer, images: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    images = images.clone().requires_grad_()
    output = layer(images)
    by_images, by_steps = torch.autograd.grad((output * weight).sum(), (images, layer.steps))
    return output.detach(), by_images, by_steps.reshape(2, 8, 8)


def assert_near(got: Tensor, want: Tensor, bound: float) -> None:
    """Within `bound` of the largest wanted value."""
    assert (got.double() - want).abs().max().item() <= bound * want.abs().max().item()


@pytest.mark.parametrize("levels", QUANTIZERS)
@pytest.mark.parametrize(("h", "bound"), [(0.2, 1e-4), (0.7, 1e-4), (2.0, 2e-4), (10.0, 3e-3)])
def test_output_and_gradients_are_the_plain_layers(path: str, levels: int, h: float, bound: float) -> None:
    # At great hardness any float32 DCT's rounding is amplified by h / 2.
    steps, images = tables(1), pictures(3, 24, 40)
    images = images - images % (1 / 64)
    alpha = h / steps.square()
    layer = JPEGLayer(steps, alpha, quantizer=QUANTIZERS[levels])
    plain = PlainLayer(steps.double(), alpha.double(), levels=levels)
    weight = pictures(3, 24, 40, seed=9) - 0.5
    found = gradients(layer, images, weight)
    wanted = gradients(plain, images.double(), weight.double())
    assert_near(found[0], wanted[0], 2e-6 * max(1.0, h / 2))
    assert_near(found[1], wanted[1], bound)
    assert_near(found[2], wanted[2], bound)


@pytest.mark.parametrize("levels", QUANTIZERS)
def test_saturated_tables(path: str, levels: int) -> None:
    steps = tables(2)
    steps[:, :4, :4] = torch.logspace(-3, -1, 16).view(4, 4)  # as an inverse-sensitivity start on fine-grained data
    images, weight = pictures(2, 32, 32), pictures(2, 32, 32, seed=9) - 0.5
    found = gradients(JPEGLayer(steps, 1.0, quantizer=QUANTIZERS[levels]), images, weight)
    plain = PlainLayer(steps.double(), torch.tensor(1.0, dtype=torch.float64), levels=levels)
    wanted = gradients(plain, images.double(), weight.double())
    assert_near(found[0], wanted[0], 2e-5)
    for got, want in zip(found[1:], wanted[1:], strict=True):
        assert (got.double() - want).abs().mean().item() <= 1e-3 * want.abs().mean().item()


@pytest.mark.parametrize("max_index", [127, None])
@given(count=st.integers(0, 5), height=st.integers(1, 41), width=st.integers(1, 41), rounds=st.integers(1, 3))
@settings(max_examples=25, deadline=None)
def test_any_size_and_rounds_agree_between_the_two_ways(
    max_index: int | None, count: int, height: int, width: int, rounds: int
) -> None:
    compiled = kernel.load()
    if compiled is None:
        pytest.skip("no compiled layer here")
    images, weight = pictures(count, height, width), pictures(count, height, width, seed=5) - 0.5
    steps = torch.stack([tables(round_, 3, 9) for round_ in range(rounds)])
    layer = JPEGLayer(steps, 2 / steps.square(), max_index=max_index)
    results = []
    for way in ("on", "off"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("JPEGDL_KERNEL", way)
            x = images.clone().requires_grad_()
            output = layer(x)
            results.append((output.detach(), *torch.autograd.grad((output * weight).sum(), (x, layer.steps))))
    for got, want in zip(*results, strict=True):
        torch.testing.assert_close(got, want, atol=2e-4 * (1 + want.abs().amax().item() if want.numel() else 1), rtol=0)


def test_sizes_that_are_not_multiples_of_eight_are_padded_by_repetition(path: str) -> None:
    images, layer = pictures(2, 13, 30), JPEGLayer(tables(0), 0.5)
    padded = torch.nn.functional.pad(images, (0, 2, 0, 3), mode="replicate")
    torch.testing.assert_close(layer(images), layer(padded)[..., :13, :30])


@pytest.mark.parametrize("h", [2.0, 6.0])
def test_finite_differences_of_the_whole_layer(h: float) -> None:
    steps = tables(3, 20, 60).double()
    images = pictures(1, 9, 11).double().requires_grad_()
    layer = JPEGLayer(steps, h / steps.square(), quantizer=soft_quantize_all_levels)

    def function(pixels: Tensor, values: Tensor) -> Tensor:
        return torch.func.functional_call(layer, {"steps": values}, (pixels,))

    assert torch.autograd.gradcheck(function, (images, layer.steps.detach().requires_grad_()), fast_mode=True)


def test_memory_formats_autocast_and_half_precision(path: str) -> None:
    images, layer = pictures(3, 24, 32), JPEGLayer(tables(0), 0.5)
    wanted = layer(images)
    assert torch.equal(layer(images.to(memory_format=torch.channels_last)), wanted)
    assert torch.equal(layer(images.flip(-1).flip(-1)[:, :, :, :]), wanted)
    assert torch.equal(layer(pictures(3, 24, 64)[..., ::2]), layer(pictures(3, 24, 64)[..., ::2].contiguous()))
    with torch.autocast("cpu", torch.bfloat16):
        output = layer(images)
        output.sum().backward()
    assert output.dtype == torch.float32
    assert torch.equal(output, wanted)
    half = layer(images.bfloat16())
    assert half.dtype == torch.float32
    assert torch.equal(half, layer(images.bfloat16().float()))


def test_only_inputs_are_saved(path: str) -> None:
    images, layer = pictures(1, 16, 16).requires_grad_(), JPEGLayer(tables(0), 0.5)
    saved: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        saved.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
        layer(images)
    assert {t.data_ptr() for t in saved} == {t.data_ptr() for t in (images, layer.steps, layer.alpha)}


def test_the_second_derivative_is_refused(path: str) -> None:
    images, layer = pictures(1, 16, 16).requires_grad_(), JPEGLayer(tables(0), 0.5)
    (gradient,) = torch.autograd.grad(layer(images).sum(), images, create_graph=True)
    with pytest.raises(RuntimeError, match="no second derivatives"):
        gradient.square().sum().backward()


def test_the_way_through_coefficients_is_the_same(path: str) -> None:
    images, layer = pictures(2, 24, 20), JPEGLayer(torch.stack([tables(0), tables(1)]), 0.02)
    coefficients = layer.coefficients(images)
    assert coefficients.shape == (2, 3, 9, 8, 8)
    mean = torch.nn.functional.pad(images, (0, 4, 0, 0), mode="replicate")[0, :, :8, :8].mean((1, 2)) * 255
    luma = (mean * torch.tensor([0.299, 0.587, 0.114])).sum() - 128
    torch.testing.assert_close(coefficients[0, 0, 0, 0, 0], 8 * luma, atol=2e-3, rtol=0)
    through = layer.to_images(layer.quantize(coefficients), 24, 20)
    torch.testing.assert_close(through, layer(images), atol=5e-6, rtol=0)
    torch.testing.assert_close(layer.to_images(coefficients, 24, 20), images, atol=2e-6, rtol=0)


def test_another_quantizer_and_a_trained_alpha_go_the_long_way(path: str) -> None:
    def doubled(coefficients: Tensor, step: Tensor, alpha: Tensor, *, max_index: int | None = 127) -> Tensor:
        return 2 * soft_quantize(coefficients, step, alpha, max_index=max_index)

    images, quantizer = pictures(1, 16, 16), doubled
    typed: Quantizer = quantizer
    difference = JPEGLayer(tables(0), 0.5, quantizer=typed)(images) - 128 / 255
    torch.testing.assert_close(difference, 2 * (JPEGLayer(tables(0), 0.5)(images) - 128 / 255), atol=3e-6, rtol=0)
    layer = JPEGLayer(tables(0), 0.5)
    layer.alpha.requires_grad_()
    torch.testing.assert_close(layer(images), JPEGLayer(tables(0), 0.5)(images), atol=2e-6, rtol=0)
    layer(images).square().sum().backward()
    assert layer.alpha.grad is not None


def test_several_threads_at_once(path: str) -> None:
    layer = JPEGLayer(tables(0), 0.5)
    batches = [pictures(4, 40, 56, seed) for seed in range(6)]
    alone = [gradients_of(layer, images) for images in batches]
    found: dict[int, tuple[Tensor, ...]] = {}

    def work(number: int) -> None:
        for _ in range(3):
            found[number] = gradients_of(layer, batches[number])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(batches))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, wanted in enumerate(alone):
        for got, want in zip(found[number], wanted, strict=True):
            assert torch.equal(got, want)


def gradients_of(layer: JPEGLayer, images: Tensor) -> tuple[Tensor, ...]:
    x = images.clone().requires_grad_()
    output = layer(x)
    return (output.detach(), *torch.autograd.grad(output.square().sum(), (x, layer.steps)))


def test_the_result_does_not_depend_on_the_number_of_threads() -> None:
    layer, images, before = JPEGLayer(tables(0), 0.5), pictures(6, 64, 64), torch.get_num_threads()
    results = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        results.append(gradients_of(layer, images))
    torch.set_num_threads(before)
    if kernel.load() is not None:
        assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


def test_constants_of_the_tables_are_never_those_of_other_numbers(path: str) -> None:
    # Neither kind of change is seen in the version or the place of the tensor that the layer holds.
    images, layer = pictures(2, 24, 24), JPEGLayer(tables(0), 0.5)
    layer(images)
    for change in (lambda: layer.steps.data.mul_(1.5), lambda: layer.alpha.data.mul_(0.3), layer.project_):
        change()
        fresh = JPEGLayer(layer.steps, layer.alpha)
        assert torch.equal(gradients_of(layer, images)[2], gradients_of(fresh, images)[2])
        with torch.no_grad():
            assert torch.equal(layer(images), fresh(images + 0))
        plain = PlainLayer(layer.steps[0].double(), layer.alpha[0].double())
        assert_near(layer(images).detach(), plain(images.double()).detach(), 4e-6)


def test_tables_changed_between_forward_and_backward_are_refused(path: str) -> None:
    layer = JPEGLayer(tables(0), 0.5)
    output = layer(pictures(1, 16, 16))
    with torch.no_grad():
        layer.steps.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        output.sum().backward()


@pytest.mark.parametrize(("shape", "at_once"), [((4, 227, 250), 1), ((200, 32, 30), 50)])
def test_pieces_of_a_batch_give_what_smaller_batches_give(path: str, shape: tuple[int, int, int], at_once: int) -> None:
    images, layer = pictures(*shape), JPEGLayer(tables(0), 0.5)
    whole = gradients_of(layer, images)
    output, by_images, by_steps = zip(*(gradients_of(layer, part) for part in images.split(at_once)), strict=True)
    torch.testing.assert_close(whole[0], torch.cat(output))
    torch.testing.assert_close(whole[1], torch.cat(by_images), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(whole[2], torch.stack(by_steps).sum(0), atol=1e-3, rtol=1e-3)


def test_forward_mode_differentiation_is_refused(path: str) -> None:
    images, layer = pictures(1, 16, 16), JPEGLayer(tables(0), 0.5)
    with torch.no_grad(), forward_ad.dual_level(), pytest.raises(RuntimeError, match="jvp"):
        layer(forward_ad.make_dual(images, torch.ones_like(images)))


def test_a_copy_and_its_state_give_the_same(path: str) -> None:
    layer = JPEGLayer(tables(0), 0.5)
    other = JPEGLayer(tables(1), 0.1)
    other.load_state_dict(layer.state_dict())
    images = pictures(1, 16, 16)
    for twin in (other, copy.deepcopy(layer)):
        assert torch.equal(twin(images), layer(images))
