"""The quantizers beside the paper's two, and the layer for feature maps."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.fft import dctn, idctn
from scipy.stats import kstest
from torch import Tensor

from jpegdl.codec.featurelayer import FeatureJPEGLayer
from jpegdl.codec.layer import JPEGLayer
from jpegdl.codec.quantizer import Quantizer
from jpegdl.codec.variants import (
    IN_TESTS,
    QUANTIZERS,
    additive_noise,
    clip,
    cubic,
    hard,
    identity,
    straight_through,
)
from tests.oracle import exact
from tests.tiny import noise, tables

STEP, LIMIT = 1.5, 4  # grey levels; the limit lies at 6
ALPHA = torch.tensor(5.0, dtype=torch.float64)


def spread(count: int = 401) -> Tensor:
    """Coefficients inside and outside the limit, none of them on it or halfway between two levels."""
    return torch.linspace(-11.003, 11.009, count, dtype=torch.float64)


def rounded(z: Tensor) -> np.ndarray:
    """The nearest level inside the limit, by NumPy."""
    return STEP * np.clip(np.round(z.numpy() / STEP), -LIMIT, LIMIT)


def derivatives(quantizer: Quantizer, z: Tensor, max_index: int | None = LIMIT) -> tuple[Tensor, Tensor, Tensor]:
    """Value, and its derivatives by each coefficient and by its own step (autograd)."""
    z = z.clone().requires_grad_()
    step = torch.full_like(z, STEP).requires_grad_()
    value = quantizer(z, step, ALPHA, max_index=max_index)
    by_z, by_step = torch.autograd.grad(value.sum(), (z, step), materialize_grads=True)
    return value.detach(), by_z, by_step


def differences(function: Callable[[Tensor, Tensor], Tensor], z: Tensor) -> tuple[Tensor, Tensor]:
    """Central differences by coefficient and by step."""
    step, small = torch.full_like(z, STEP), 1e-6
    by_z = (function(z + small, step) - function(z - small, step)) / (2 * small)
    by_step = (function(z, step + small) - function(z, step - small)) / (2 * small)
    return by_z, by_step


def test_the_identity_changes_nothing_and_gives_no_gradient_to_the_tables():
    value, by_z, by_step = derivatives(identity, spread())
    assert torch.equal(value, spread())
    assert torch.equal(by_z, torch.ones_like(by_z))
    assert not by_step.any()


def test_clip_is_the_identity_inside_the_limit_and_the_limit_outside():
    z = spread()
    value, by_z, by_step = derivatives(clip, z)
    outside = z.abs() > LIMIT * STEP
    assert np.array_equal(value.numpy(), np.clip(z.numpy(), -LIMIT * STEP, LIMIT * STEP))
    assert torch.equal(by_z, (~outside).double())
    assert torch.equal(by_step, torch.where(outside, LIMIT * z.sign(), 0.0))
    assert 0 < outside.sum() < len(z)


def test_straight_through_rounds_and_its_derivatives_are_those_of_lsq():
    z = spread()
    value, by_z, by_step = derivatives(straight_through, z)
    u, outside = z / STEP, z.abs() > LIMIT * STEP
    assert np.allclose(value, rounded(z))
    assert torch.equal(by_z, (~outside).double())
    assert torch.allclose(by_step, torch.where(outside, LIMIT * z.sign(), u.round() - u))


def test_cubic_is_rounding_with_the_cube_of_the_remainder():
    z = spread()
    value, by_z, by_step = derivatives(cubic, z)

    def formula(z: Tensor, step: Tensor) -> Tensor:
        index = np.clip(z.numpy() / step.numpy(), -LIMIT, LIMIT)
        return torch.from_numpy((np.round(index) + (index - np.round(index)) ** 3) * step.numpy())

    assert torch.allclose(value, formula(z, torch.full_like(z, STEP)))
    outside, remainder = z.abs() > LIMIT * STEP, z / STEP - (z / STEP).round()
    assert torch.allclose(by_z, torch.where(outside, 0.0, 3 * remainder.square()))
    for ours, theirs in zip((by_z, by_step), differences(formula, z), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-6)


def test_hard_rounds_and_limits():
    z = spread()
    value, by_z, _ = derivatives(hard, z)
    assert np.allclose(value, rounded(z))
    assert not by_z.any()


@pytest.mark.parametrize("quantizer", [clip, straight_through, cubic, hard])
def test_without_a_limit_nothing_is_cut_off(quantizer):
    z = 1000 * spread()
    assert (quantizer(z, torch.full_like(z, STEP), ALPHA, max_index=None) - z).abs().max() <= STEP / 2
    assert (quantizer(z, torch.full_like(z, STEP), ALPHA, max_index=LIMIT)).abs().max() == LIMIT * STEP


def test_additive_noise_is_uniform_over_one_step_and_new_in_each_call():
    z = torch.full((20_000,), 0.4, dtype=torch.float64)
    torch.manual_seed(1)
    first, second = (additive_noise(z, torch.full_like(z, STEP), ALPHA, max_index=None) - z for _ in range(2))
    assert kstest(first.numpy(), "uniform", (-STEP / 2, STEP)).pvalue > 1e-3
    assert kstest(first.numpy(), "uniform", (-STEP / 2 * 1.05, STEP * 1.05)).pvalue < 1e-3  # it can tell a difference
    assert abs(first.mean()) < 4 * STEP / np.sqrt(12 * len(z))
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.04
    assert abs(np.corrcoef(first[1:], first[:-1])[0, 1]) < 0.04


def test_additive_noise_is_clipped_and_its_derivative_by_step_is_the_noise():
    z = spread()
    torch.manual_seed(1)
    value, by_z, by_step = derivatives(additive_noise, z)
    at_limit = value.abs() == LIMIT * STEP
    assert value.abs().max() == LIMIT * STEP
    assert at_limit[z.abs() > (LIMIT + 0.5) * STEP].all()
    assert not at_limit[z.abs() < (LIMIT - 0.5) * STEP].any()
    assert torch.equal(by_z, (~at_limit).double())
    assert torch.allclose(by_step, torch.where(at_limit, LIMIT * z.sign(), (value - z) / STEP))


@pytest.mark.parametrize("name", QUANTIZERS)
def test_every_quantizer_broadcasts_tables_over_coefficients_and_keeps_their_shape(name):
    z, (step, alpha) = 20 * noise(2, 8)[..., None].double(), (torch.rand(3, 8, 1, 1, dtype=torch.float64) + 1, ALPHA)
    torch.manual_seed(3)
    value = QUANTIZERS[name](z, step, alpha, max_index=7)
    assert value.shape == z.shape
    torch.manual_seed(3)
    assert torch.equal(value, QUANTIZERS[name](z, step.expand_as(z).clone(), alpha, max_index=7))


# Through the layer


TWO_ROUNDS = tables(2) * torch.tensor([1, 0.97]).view(2, 1, 1, 1)  # no limit of the first is midway in the second


def two_rounds(name: str, max_index: int | None) -> JPEGLayer:
    return JPEGLayer(TWO_ROUNDS, 0.02, max_index=max_index, quantizer=QUANTIZERS[name]).double().eval()


@pytest.mark.parametrize("name", [name for name in QUANTIZERS if name not in IN_TESTS])
@pytest.mark.parametrize("max_index", [7, None])
def test_the_layer_quantizes_scipys_coefficients_round_after_round(name, max_index):
    images = noise(2, 16).double()
    to_ycbcr = np.array(
        [[0.299, 0.587, 0.114], [-0.299 / 1.772, -0.587 / 1.772, 0.5], [0.5, -0.587 / 1.402, -0.114 / 1.402]]
    )
    planes = np.einsum("cr,nrhw->nchw", to_ycbcr, images.numpy() * 255 - 128).reshape(2, 3, 2, 8, 2, 8)
    z = torch.from_numpy(dctn(planes, axes=(3, 5), norm="ortho"))
    for table in TWO_ROUNDS.double():
        step = table[[0, 1, 1], None, :, None, :].expand_as(z)
        z = QUANTIZERS[name](z, step, torch.full_like(z, 0.02), max_index=max_index)
    back = idctn(z.numpy(), axes=(3, 5), norm="ortho").reshape(2, 3, 16, 16)
    expected = (np.einsum("rc,nchw->nrhw", np.linalg.inv(to_ycbcr), back) + 128) / 255
    with torch.no_grad():
        assert np.allclose(two_rounds(name, max_index)(images).numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("name", ["clip", "cubic", "additive noise"])
def test_the_layers_gradients_are_finite_differences(name):
    layer, images = two_rounds(name, 7), noise(1, 8).double().requires_grad_()

    def reconstruction(images: Tensor, steps: Tensor) -> Tensor:
        torch.manual_seed(0)  # the same noise each time
        return torch.func.functional_call(layer, {"steps": steps}, images)

    inputs = (images, layer.steps.detach().requires_grad_())
    assert torch.autograd.gradcheck(reconstruction, inputs, fast_mode=True)


def test_straight_through_the_layer_gives_the_gradient_of_the_image_back_where_nothing_is_cut_off():
    layer, images, upstream = two_rounds("straight through", None), noise(1, 8).double(), noise(1, 8, 1).double()
    images.requires_grad_()
    layer(images).backward(upstream)
    assert images.grad is not None
    assert torch.allclose(images.grad, upstream, atol=1e-9)


def test_the_training_quantizer_acts_in_training_mode_only():
    layer = JPEGLayer(tables(), 5.0, quantizer=hard, training_quantizer=additive_noise)
    plain = JPEGLayer(tables(), 5.0, quantizer=hard)
    images = noise(2, 16)
    with torch.no_grad():
        assert torch.equal(layer.eval()(images), plain.train()(images))
        first, second = layer.train()(images), layer(images)
        coefficients = plain.coefficients(images)
        noisy = (layer.coefficients(first) - coefficients).abs()
    assert not torch.equal(first, second)
    half_a_step = tables()[0, [0, 1, 1], None] / 2
    assert bool((noisy <= half_a_step + 1e-3).all())
    assert noisy.max() > 7


def test_noise_is_replaced_by_rounding_in_tests_and_nothing_else_is_replaced():
    assert dict(IN_TESTS) == {"additive noise": "hard"}
    assert set(QUANTIZERS) == {
        "five levels", "all levels", "hard", "clip", "identity", "straight through", "additive noise", "cubic",
    }  # fmt: skip


# The layer for feature maps


def feature_tables(channels: int) -> Tensor:
    """(channels, 8, 8) steps 0.2 .. 2, no two alike."""
    return torch.linspace(0.2, 2, channels * 64).view(channels, 8, 8)


def features(channels: int, height: int, width: int) -> Tensor:
    generator = torch.Generator().manual_seed(2)
    return 4 * torch.randn(2, channels, height, width, generator=generator)


def summed_over_levels(maps: np.ndarray, steps: Tensor, alpha: float, max_index: int) -> tuple[np.ndarray, np.ndarray]:
    """By scipy's DCT and the sums of tests/oracle.py: (N, C, H, W) maps -> result, and the levels' slopes by steps."""
    height, width = maps.shape[2:]
    padded = np.pad(maps, ((0, 0), (0, 0), (0, -height % 8), (0, -width % 8)), mode="edge")
    count, channels, high, wide = padded.shape
    z = dctn(padded.reshape(count, channels, high // 8, 8, wide // 8, 8), axes=(3, 5), norm="ortho")
    levels, by_step = np.empty_like(z), np.empty_like(z)
    for channel, row, column in np.ndindex(channels, 8, 8):
        place = (slice(None), channel, slice(None), row, slice(None), column)
        step = float(steps[channel, row, column])
        found = exact(torch.from_numpy(z[place].ravel()), step, alpha, max_index, window=True)
        levels[place], by_step[place] = (part.numpy().reshape(z[place].shape) for part in (found.value, found.by_step))
    result = idctn(levels, axes=(3, 5), norm="ortho").reshape(padded.shape)[..., :height, :width]
    return result, by_step


@pytest.mark.parametrize(("height", "width"), [(16, 8), (13, 21), (1, 9), (4, 4)])
def test_the_feature_layer_is_scipys_dct_and_a_sum_over_five_levels_with_a_table_a_channel(height, width):
    layer, maps = FeatureJPEGLayer(feature_tables(3), 2.0, max_index=5), features(3, height, width)
    expected, _ = summed_over_levels(maps.double().numpy(), feature_tables(3), 2.0, 5)
    found = layer(maps).detach()
    assert found.shape == maps.shape
    assert np.allclose(found.numpy(), expected, atol=2e-5)
    assert np.abs(expected - maps.numpy()).max() > 0.1  # it does something


def test_the_feature_layers_steps_get_the_sums_of_the_levels_slopes():
    layer, maps = FeatureJPEGLayer(feature_tables(2), 2.0, max_index=5), features(2, 16, 8)
    _, by_step = summed_over_levels(maps.double().numpy(), feature_tables(2), 2.0, 5)
    upstream = features(2, 16, 8).flip(0)
    layer(maps).backward(upstream)
    weight = dctn(upstream.double().numpy().reshape(2, 2, 2, 8, 1, 8), axes=(3, 5), norm="ortho")
    expected = (by_step * weight).sum((0, 2, 4))
    assert layer.steps.grad is not None
    assert np.allclose(layer.steps.grad.numpy(), expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def test_the_feature_layers_maps_get_the_gradient_that_finite_differences_give():
    layer, maps = FeatureJPEGLayer(feature_tables(2), 0.5, max_index=5), features(2, 13, 9)
    upstream = features(2, 13, 9).flip(0)
    maps.requires_grad_()
    layer(maps).backward(upstream)
    assert maps.grad is not None
    generator = torch.Generator().manual_seed(3)
    for _ in range(5):
        direction = torch.randn(maps.shape, generator=generator)
        above, below = (
            summed_over_levels((maps.detach() + sign * 1e-5 * direction).double().numpy(), feature_tables(2), 0.5, 5)[0]
            for sign in (1.0, -1.0)
        )
        expected = ((above - below) * upstream.numpy()).sum() / 2e-5
        assert float((maps.grad * direction).sum()) == pytest.approx(expected, rel=0.02, abs=0.5)


@pytest.mark.parametrize("name", QUANTIZERS)
def test_the_feature_layer_takes_every_quantizer(name):
    steps, maps = torch.rand(3, 8, 8) + 0.5, features(3, 8, 16)
    layer = FeatureJPEGLayer(steps, 2.0, max_index=5, quantizer=QUANTIZERS[name])
    found = layer(maps).detach().reshape(2, 3, 8, 2, 8).numpy()
    levels = torch.from_numpy(dctn(found, axes=(2, 4), norm="ortho"))
    z = torch.from_numpy(dctn(maps.reshape(2, 3, 8, 2, 8).numpy(), axes=(2, 4), norm="ortho"))
    step = steps[:, :, None, :].expand_as(z)
    if name == "additive noise":
        assert bool(((levels - clip(z, step, ALPHA, max_index=5)).abs() <= step / 2 + 1e-4).all())
    else:
        expected = QUANTIZERS[name](z, step, torch.full_like(z, 2.0), max_index=5)
        assert torch.allclose(levels, expected, atol=1e-3)


def test_the_feature_layer_computes_in_float32_under_autocast_and_returns_the_features_type():
    layer, maps = FeatureJPEGLayer(feature_tables(3), 2.0, max_index=5), features(3, 16, 16).bfloat16()
    expected = layer(maps.float()).detach()
    with torch.autocast("cpu", torch.bfloat16):
        found = layer(maps)
    assert found.dtype == torch.bfloat16
    assert torch.equal(found.detach(), expected.bfloat16())
    found.float().sum().backward()
    assert layer.steps.grad is not None
    assert layer.steps.grad.dtype == torch.float32


@pytest.mark.parametrize("shape", [(8, 8), (1, 2, 8, 8), (3, 8, 7)])
def test_tables_of_another_shape_are_refused_by_the_feature_layer(shape):
    with pytest.raises(ValueError, match=r"must have shape \(channels, 8, 8\), got"):
        FeatureJPEGLayer(torch.ones(shape), 2.0, max_index=5)


@pytest.mark.parametrize("value", [0.0, 256.0, float("nan")])
def test_steps_out_of_range_are_refused_by_the_feature_layer(value):
    steps = torch.ones(3, 8, 8)
    steps[1, 2, 3] = value
    with pytest.raises(ValueError, match=r"steps must lie in 1e-05\.\.255"):
        FeatureJPEGLayer(steps, 2.0, max_index=5)


@pytest.mark.parametrize("alpha", [0.0, -1.0, float("nan")])
def test_an_alpha_that_is_not_positive_is_refused_by_the_feature_layer(alpha):
    with pytest.raises(ValueError, match="alpha must be positive everywhere"):
        FeatureJPEGLayer(torch.ones(3, 8, 8), alpha, max_index=5)


def test_the_feature_layer_trains_its_steps_alone_and_projects_them_into_their_range():
    layer = FeatureJPEGLayer(torch.ones(3, 8, 8), 2.0, max_index=5)
    assert [name for name, _ in layer.named_parameters()] == ["steps"]
    assert set(layer.state_dict()) == {"steps", "alpha"}
    with torch.no_grad():
        layer.steps[0, 0, 0], layer.steps[1, 1, 1] = -3.0, 300.0
    layer.project_()
    assert (layer.steps.min().item(), layer.steps.max().item()) == pytest.approx((1e-5, 255))
    assert layer.steps[2].eq(1).all()
