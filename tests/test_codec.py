"""Colour, DCT, quantizers and the layer, against scipy, Pillow and sums over explicit levels."""

import io
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.fft import dctn, idctn
from torch import Tensor
from torch.autograd import gradcheck

from jpegdl.codec import dct
from jpegdl.codec.color import rgb_to_ycbcr, ycbcr_to_rgb
from jpegdl.codec.dct import block_dct, blockify, inverse_block_dct, pad_to_blocks, unblockify
from jpegdl.codec.layer import JPEGLayer
from jpegdl.codec.quantizer import hard_quantize, hardness, soft_quantize
from tests.tiny import noise, smooth_picture, tables, to_tensor

LIMITS = [127, 5, 2]


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def five_levels(z: Tensor, step: Tensor, alpha: Tensor, max_index: int | None) -> Tensor:
    """The definition: a softmax over five explicit levels in a last dimension, the window shifted at the limit."""
    first = torch.round(z / step).detach() - 2
    if max_index is not None:
        first = first.clamp(-max_index, max_index - 4)
    return weighted(z, step, alpha, first.unsqueeze(-1) + torch.arange(5))


def all_levels(z: Tensor, step: Tensor, alpha: Tensor) -> Tensor:
    """The paper's formula: a softmax over all 255 levels."""
    return weighted(z, step, alpha, torch.arange(-127, 128))


def weighted(z: Tensor, step: Tensor, alpha: Tensor, levels: Tensor) -> Tensor:
    z, step, alpha = (tensor.unsqueeze(-1) for tensor in torch.broadcast_tensors(z, step, alpha))
    values = levels * step
    return ((-alpha * (z - values) ** 2).softmax(-1) * values).sum(-1)


def random_case(seed: int, max_index: int | None) -> tuple[Tensor, Tensor, Tensor]:
    """500 coefficients, steps and softnesses, float64: hardness 1e-3 .. 1e3, a third whole or tied."""
    draw = generator(seed)
    reach = (max_index or 127) + 8
    u = (torch.rand(500, generator=draw, dtype=torch.float64) * 2 - 1) * reach
    u[::3] = torch.round(u[::3] * 2) / 2  # whole and half indices, half of these are ties
    step = 10 ** (torch.rand(500, generator=draw, dtype=torch.float64) * 4 - 2)
    step[::3] = 2 ** torch.round(torch.log2(step[::3]))  # so that z / step is exactly the tie
    alpha = 10 ** (torch.rand(500, generator=draw, dtype=torch.float64) * 6 - 3) / step**2
    return u * step, step, alpha


def with_gradients(function, z: Tensor, step: Tensor, alpha: Tensor) -> tuple[Tensor, ...]:
    """-> value, and gradients of a weighted sum of it for the three inputs."""
    inputs = [tensor.clone().requires_grad_() for tensor in (z, step, alpha)]
    value = function(*inputs)
    weights = torch.linspace(0.5, 2, value.numel(), dtype=value.dtype).view(value.shape)
    return (value.detach(), *torch.autograd.grad((value * weights).sum(), inputs))


# Colour


def test_ycbcr_is_pillows_to_a_level():
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8))
    ours = rgb_to_ycbcr(to_tensor(picture) * 255)[0].permute(1, 2, 0)
    assert np.abs(ours.round().numpy() - np.asarray(picture.convert("YCbCr"))).max() <= 1  # Pillow cuts off fractions


def test_rgb_comes_back_from_ycbcr_also_beyond_the_range():
    rgb = torch.rand(2, 3, 5, 7, generator=generator(0), dtype=torch.float64) * 600 - 200
    assert torch.allclose(ycbcr_to_rgb(rgb_to_ycbcr(rgb)), rgb, atol=1e-10, rtol=0)


def test_grey_has_chroma_128_without_the_half_level_of_the_authors_code():
    grey = torch.full((1, 3, 1, 1), 77.0, dtype=torch.float64)
    assert rgb_to_ycbcr(grey).flatten().tolist() == pytest.approx([77, 128, 128], abs=1e-12)


# Blocks and DCT


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_block_dct_and_its_inverse_are_scipys_orthonormal_ones(dtype):
    blocks = torch.randn(2, 3, 4, 8, 8, generator=generator(0), dtype=dtype) * 100
    tolerance = 1e-3 if dtype == torch.float32 else 1e-11
    ours, back = block_dct(blocks), inverse_block_dct(blocks)
    assert ours.dtype == back.dtype == dtype
    assert np.abs(ours.numpy() - dctn(blocks.double().numpy(), axes=(-2, -1), norm="ortho")).max() < tolerance
    assert np.abs(back.numpy() - idctn(blocks.double().numpy(), axes=(-2, -1), norm="ortho")).max() < tolerance


def test_a_vertical_wave_has_its_coefficient_in_the_first_column():
    rows = torch.cos(math.pi * (2 * torch.arange(8.0) + 1) * 3 / 16)
    coefficients = block_dct(rows[:, None].expand(8, 8).reshape(1, 1, 1, 8, 8))[0, 0, 0]
    assert coefficients.abs().argmax() == 3 * 8


def test_blockify_puts_blocks_in_reading_order_and_unblockify_undoes_it():
    images = torch.arange(2 * 3 * 16 * 24.0).view(2, 3, 16, 24)
    blocks = blockify(images)
    assert blocks.shape == (2, 3, 6, 8, 8)
    assert torch.equal(blocks[1, 2, 4], images[1, 2, 8:16, 8:16])  # second row of blocks, second column
    assert torch.equal(unblockify(blocks, 16, 24), images)


@pytest.mark.parametrize("shape", [(7, 8), (8, 20)])
def test_blockify_refuses_sizes_that_are_not_multiples_of_8(shape):
    with pytest.raises(ValueError, match=f"multiples of 8, got {shape[0]}x{shape[1]}; call pad_to_blocks first"):
        blockify(torch.zeros(1, 3, *shape))


@pytest.mark.parametrize("shape", [(1, 1), (7, 13), (8, 8), (33, 40)])
def test_padding_repeats_the_last_row_and_column(shape):
    images = torch.rand(2, 3, *shape, generator=generator(0))
    margin = [(0, 0), (0, 0), (0, -shape[0] % 8), (0, -shape[1] % 8)]
    assert np.array_equal(pad_to_blocks(images).numpy(), np.pad(images.numpy(), margin, mode="edge"))


def test_a_basis_that_was_first_needed_in_inference_mode_can_be_trained_through():
    dct._basis.cache_clear()
    with torch.inference_mode():
        block_dct(torch.zeros(1, 1, 1, 8, 8))
    blocks = torch.ones(1, 1, 1, 8, 8, requires_grad=True)
    block_dct(blocks).sum().backward()
    assert blocks.grad is not None


# The soft quantizer


@pytest.mark.parametrize("max_index", [*LIMITS, None])
@pytest.mark.parametrize("seed", range(4))
def test_soft_quantize_and_its_gradients_are_those_of_five_explicit_levels(seed, max_index):
    case = random_case(seed, max_index)
    ours = with_gradients(lambda *inputs: soft_quantize(*inputs, max_index=max_index), *case)
    expected = with_gradients(lambda z, step, alpha: five_levels(z, step, alpha, max_index), *case)
    step = case[1]
    one = torch.ones_like(step)
    for value, reference, unit in zip(ours, expected, (step, one, one, step**3), strict=True):
        scale = 1 + (reference / unit).abs()
        assert ((value - reference) / unit / scale).abs().max() < 1e-9


@settings(max_examples=200, deadline=None)
@given(
    index=st.floats(-135, 135) | st.integers(-270, 270).map(lambda twice: twice / 2),
    log_step=st.integers(-16, 8),
    log_hardness=st.floats(-6, 3),
    max_index=st.sampled_from([*LIMITS, None]),
)
def test_soft_quantize_is_the_mean_of_five_levels_everywhere(index, log_step, log_hardness, max_index):
    step = torch.tensor(2.0**log_step, dtype=torch.float64)
    z, alpha = index * step, 10**log_hardness / step**2
    difference = soft_quantize(z, step, alpha, max_index=max_index) - five_levels(z, step, alpha, max_index)
    assert (difference / step).abs() < 1e-9


def test_tables_broadcast_and_their_gradients_sum_over_what_they_serve():
    z = torch.randn(2, 3, 4, 8, 8, generator=generator(0), dtype=torch.float64) * 40
    step = torch.rand(3, 1, 8, 8, generator=generator(1), dtype=torch.float64) * 5 + 0.5
    for alpha in (torch.tensor(0.3, dtype=torch.float64), torch.rand(8, 1, generator=generator(2)).double() + 0.1):
        ours = with_gradients(lambda *inputs: soft_quantize(*inputs, max_index=5), z, step, alpha)
        expected = with_gradients(lambda z, step, alpha: five_levels(z, step, alpha, 5), z, step, alpha)
        for value, reference in zip(ours, expected, strict=True):
            assert value.shape == reference.shape
            assert torch.allclose(value, reference, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("where", ["inside", "beyond the limit"])
def test_float32_values_and_slopes_agree_with_float64(where):
    z, step, alpha = random_case(7, 127)
    chosen = (torch.round(z / step).abs() <= 125) & (z / step % 1 != 0.5) & (alpha * step**2 < 100)
    chosen = chosen if where == "inside" else (z / step).abs() > 130
    z, step, alpha = (tensor[chosen].float() for tensor in (z, step, alpha))
    single = with_gradients(soft_quantize, z, step, alpha)
    double = with_gradients(soft_quantize, z.double(), step.double(), alpha.double())
    assert all(value.dtype == torch.float32 for value in single)
    assert ((single[0] - double[0]) / step).abs().max() < 2e-3  # u of 127 has half an ulp of 4e-6, times a gain of 50
    assert (single[1] - double[1]).abs().max() < 2e-2


# performance.md of the method: worst error of five levels against all 255, in units of the step, and of dQ/dz
WINDOW_ERRORS = {
    0.5: (4.5e-2, 0.12),
    0.7: (1.5e-2, 5.0e-2),
    1: (2.7e-3, 1.3e-2),
    2: (7.5e-6, 7e-5),
    3: (1.9e-8, 2.7e-7),
}


@pytest.mark.parametrize("h", WINDOW_ERRORS)
def test_five_levels_differ_from_all_255_by_the_known_error_of_the_window(h):
    step = torch.tensor(3.0, dtype=torch.float64)
    z = step * (torch.linspace(-2, 2, 4001, dtype=torch.float64) + 1e-9)
    alpha = h / step**2
    value, slope, *_ = with_gradients(lambda z, *rest: soft_quantize(z, *rest), z, step, alpha)
    full_value, full_slope, *_ = with_gradients(all_levels, z, step, alpha)
    weights = torch.linspace(0.5, 2, 4001, dtype=torch.float64)
    assert ((value - full_value) / step).abs().max() == pytest.approx(WINDOW_ERRORS[h][0], rel=0.05)
    assert ((slope - full_slope) / weights).abs().max() == pytest.approx(WINDOW_ERRORS[h][1], rel=0.05)


@pytest.mark.parametrize("max_index", [127, 2, None])
def test_gradients_are_those_of_finite_differences_away_from_ties(max_index):
    draw = generator(3)
    index = torch.randint(-4, 5, (40,), generator=draw).double()
    step = torch.rand(40, generator=draw, dtype=torch.float64) * 3 + 0.5
    z = (index + (torch.rand(40, generator=draw, dtype=torch.float64) - 0.5) * 0.8) * step
    alpha = (torch.rand(40, generator=draw, dtype=torch.float64) * 3 + 0.2) / step**2
    inputs = [tensor.requires_grad_() for tensor in (z, step, alpha)]
    assert gradcheck(lambda *tensors: soft_quantize(*tensors, max_index=max_index), inputs)


@pytest.mark.parametrize("max_index", [127, 5])
@pytest.mark.parametrize("h", [1e-12, 1e4])
def test_very_soft_and_very_hard_are_both_hard_rounding_with_slope_zero(h, max_index):
    index = torch.arange(-140, 141, dtype=torch.float64).repeat(3)
    u = index + torch.tensor([-0.4, 0.1, 0.4], dtype=torch.float64).repeat_interleave(281)
    inside = index.abs() <= max_index - 2 if h < 1 else index.abs() < 200  # at the limit five levels are off-centre
    z, step = 0.7 * u[inside], torch.tensor(0.7, dtype=torch.float64)
    value, slope, *_ = with_gradients(
        lambda *inputs: soft_quantize(*inputs, max_index=max_index), z, step, torch.tensor(h / 0.49).double()
    )
    assert torch.allclose(value, hard_quantize(z, step, max_index=max_index), atol=1e-9, rtol=0)
    assert slope.abs().max() < 1e-9


@pytest.mark.parametrize("max_index", LIMITS)
@pytest.mark.parametrize("side", [1, -1])
def test_far_beyond_the_limit_the_value_is_the_last_level_and_its_gradient_the_index(max_index, side):
    z = torch.tensor([side * (max_index + 50) * 2.0], requires_grad=True)
    step = torch.tensor([2.0], requires_grad=True)
    value = soft_quantize(z, step, torch.tensor(1.0), max_index=max_index)
    value.backward()
    assert value.item() == side * max_index * 2
    assert z.grad is not None
    assert step.grad is not None
    assert (z.grad.item(), step.grad.item()) == (0, side * max_index)


def test_a_limited_coefficient_elsewhere_does_not_change_a_value():
    z = torch.linspace(-9, 9, 101, dtype=torch.float64)
    step, alpha = torch.tensor([1.0, 0.8]).double()
    alone = soft_quantize(z, step, alpha)
    assert torch.allclose(soft_quantize(torch.cat([z, z.new_tensor([1e6])]), step, alpha)[:-1], alone, atol=1e-14)


def test_a_second_derivative_is_refused():
    z = torch.tensor([1.2], requires_grad=True)
    squared = soft_quantize(z, torch.tensor(1.0), torch.tensor(2.0)).square()
    (slope,) = torch.autograd.grad(squared, z, create_graph=True)
    with pytest.raises(RuntimeError, match="no second derivatives"):
        slope.backward()


@pytest.mark.parametrize("wanted", [0, 1, 2])
def test_a_gradient_does_not_depend_on_which_others_are_asked_for(wanted):
    case = [tensor.clone() for tensor in random_case(0, 127)]
    together = with_gradients(soft_quantize, *case)[1 + wanted]
    case[wanted].requires_grad_()
    value = soft_quantize(*case)
    (alone,) = torch.autograd.grad((value * torch.linspace(0.5, 2, 500, dtype=value.dtype)).sum(), case[wanted])
    assert torch.equal(alone, together)


def test_fewer_than_five_levels_are_refused():
    with pytest.raises(ValueError, match=r"at least 2 \(five levels\), got 1"):
        soft_quantize(torch.zeros(1), torch.ones(1), torch.ones(1), max_index=1)


def test_hard_quantize_rounds_half_to_even_and_stops_at_the_limit():
    z = torch.tensor([0.5, 1.5, 2.5, -0.5, 7.1, 99.0, -99.0])
    assert hard_quantize(z * 3, torch.tensor(3.0), max_index=10).tolist() == [0, 6, 6, 0, 21, 30, -30]
    assert hard_quantize(z * 3, torch.tensor(3.0), max_index=None)[5] == 297


def test_hardness_is_alpha_times_the_square_of_the_step():
    assert hardness(torch.tensor([2.0, 10.0]), torch.tensor([5.0, 0.01])).tolist() == pytest.approx([20, 1])


# The layer


def fine_layer() -> JPEGLayer:
    """Steps so small and levels so many that quantization is invisible."""
    return JPEGLayer(torch.full((2, 8, 8), 0.01), 5.0, max_index=None)


@pytest.mark.parametrize("shape", [(1, 1), (7, 13), (8, 8), (33, 40)])
def test_with_fine_steps_a_picture_of_any_size_comes_back(shape):
    images = torch.rand(2, 3, *shape, generator=generator(0))
    assert torch.allclose(fine_layer()(images), images, atol=2e-4)


@pytest.mark.parametrize("shape", [(1, 1), (7, 13), (33, 40)])
def test_other_sizes_are_padded_by_replication_and_cropped_back(shape):
    images = torch.rand(1, 3, *shape, generator=generator(0))
    margin = [(0, 0), (0, 0), (0, -shape[0] % 8), (0, -shape[1] % 8)]
    padded = torch.from_numpy(np.pad(images.numpy(), margin, mode="edge"))
    layer = JPEGLayer(tables(), 5.0)
    assert torch.equal(layer(images), layer(padded)[..., : shape[0], : shape[1]])


def test_values_outside_0_and_1_are_not_clamped():
    images = noise(1, 16) * 3 - 1
    out = fine_layer()(images)
    assert torch.allclose(out, images, atol=2e-4)
    assert out.min() < -0.5
    assert out.max() > 1.5


def test_a_batch_of_none_gives_a_batch_of_none_and_no_gradient():
    layer = JPEGLayer(tables(), 5.0)
    out = layer(torch.zeros(0, 3, 9, 9))
    assert out.shape == (0, 3, 9, 9)
    out.sum().backward()
    assert layer.steps.grad is not None
    assert not layer.steps.grad.any()


def test_the_memory_layout_of_the_input_does_not_matter():
    images = noise(2, 24)
    layer = JPEGLayer(tables(), 5.0)
    expected = layer(images)
    assert torch.equal(layer(images.to(memory_format=torch.channels_last)), expected)
    assert torch.equal(layer(images.transpose(2, 3).contiguous().transpose(2, 3)), expected)
    layer.steps.data = layer.steps.data.to(memory_format=torch.channels_last)
    assert torch.equal(layer(images), expected)


def test_under_autocast_the_layer_computes_in_float32():
    images = noise(2, 24)
    layer = JPEGLayer(tables(), 5.0)
    with torch.autocast("cpu", torch.bfloat16):
        under = layer(images)
    assert under.dtype == torch.float32
    assert torch.equal(under, layer(images))
    assert layer(images.bfloat16()).dtype == torch.float32


def test_float64_stays_float64():
    images = noise(1, 16).double()
    layer = JPEGLayer(tables().double(), 5.0)
    assert layer(images).dtype == torch.float64
    assert (layer(images) - layer.float()(images.float())).abs().max() < 1e-3


@pytest.mark.parametrize("rounds", [1, 5])
def test_a_round_has_128_trainable_steps_and_a_stored_alpha(rounds):
    layer = JPEGLayer(tables(rounds), 5.0)
    assert {name: value.numel() for name, value in layer.named_parameters()} == {"steps": 128 * rounds}
    assert set(layer.state_dict()) == {"steps", "alpha"}
    assert torch.equal(layer.state_dict()["alpha"], torch.full((rounds, 2, 8, 8), 5.0))


def test_rounds_act_one_after_the_other_on_coefficients():
    first, second = tables(2)
    layer = JPEGLayer(torch.stack([first, second]), torch.tensor([5.0, 0.02]).view(2, 1, 1, 1))
    coefficients = layer.coefficients(noise(1, 16))
    for channel, table in enumerate((0, 1, 1)):  # Y; Cb and Cr share the chroma table
        once = soft_quantize(coefficients[:, channel], first[table], torch.tensor(5.0))
        twice = soft_quantize(once, second[table], torch.tensor(0.02))
        assert torch.allclose(layer.quantize(coefficients)[:, channel], twice, atol=1e-4)


def test_coefficients_are_scipys_dct_of_pillows_level_shifted_ycbcr():
    picture = smooth_picture(16, 24)
    ycbcr = np.asarray(picture.convert("YCbCr")).astype(float) - 128
    expected = (
        dctn(ycbcr.reshape(2, 8, 3, 8, 3), axes=(1, 3), norm="ortho").transpose(4, 0, 2, 1, 3).reshape(3, 6, 8, 8)
    )
    ours = fine_layer().coefficients(to_tensor(picture))[0].numpy()
    assert (
        np.abs(ours - expected).max() < 8
    )  # Pillow rounds each sample, at most half a level: 8 x 0.5 + 1 bit of chroma
    assert np.abs(ours - expected).mean() < 0.5


def test_project_moves_steps_into_their_range_and_only_those():
    layer = JPEGLayer(tables(), 5.0)
    before = layer.steps.detach().clone()
    with torch.no_grad():
        layer.steps.view(-1)[:3] = torch.tensor([-4.0, 0.0, 300.0])
    layer.project_()
    assert layer.steps.view(-1)[:3].tolist() == pytest.approx([1e-5, 1e-5, 255])
    assert torch.equal(layer.steps.view(-1)[3:], before.view(-1)[3:])
    assert layer.steps.requires_grad


def test_the_forward_pass_changes_no_step():
    layer = JPEGLayer(tables(), 5.0)
    with torch.no_grad():
        layer.steps.view(-1)[0] = 300.0
    layer(noise(1, 8))
    assert layer.steps.view(-1)[0] == 300


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((torch.ones(8, 8), 5.0), "tables must have shape .* got"),
        ((torch.ones(0, 2, 8, 8), 5.0), "tables must have shape"),
        ((torch.ones(1, 3, 8, 8), 5.0), r"got \(1, 3, 8, 8\)"),
        ((torch.zeros(2, 8, 8), 5.0), "steps must lie in 1e-05..255"),
        ((torch.full((2, 8, 8), 256.0), 5.0), "steps must lie in"),
        ((torch.full((2, 8, 8), math.nan), 5.0), "steps must lie in"),
        ((torch.ones(2, 8, 8), 0.0), "alpha must be positive"),
        ((torch.ones(2, 8, 8), math.nan), "alpha must be positive"),
    ],
)
def test_wrong_tables_and_alphas_are_refused_with_a_sentence(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        JPEGLayer(*arguments)


def through_pillow(picture: Image.Image, steps: Tensor) -> np.ndarray:
    """What Pillow's own 4:4:4 JPEG with these steps decodes to, (H, W, 3), grey levels."""
    file = io.BytesIO()
    picture.save(file, "JPEG", qtables=[table.int().flatten().tolist() for table in steps], subsampling=0)
    return np.asarray(Image.open(file)).astype(float)


def through_hard_layer(picture: Image.Image, steps: Tensor) -> np.ndarray:
    with torch.no_grad():
        seen = JPEGLayer(steps, 1e5, max_index=None)(to_tensor(picture))
    return (seen[0].permute(1, 2, 0) * 255).round().clamp(0, 255).numpy()


UNEVEN = torch.stack([1 + torch.arange(64.0).view(8, 8), 140 - 2 * (1 + torch.arange(64.0).view(8, 8))])


@pytest.mark.parametrize("shape", [(24, 40), (21, 35)])
def test_a_very_hard_layer_is_pillows_jpeg_with_the_same_luma_table_to_3_levels(shape):
    picture = smooth_picture(*shape).convert("L").convert("RGB")
    decoded = through_pillow(picture, UNEVEN)
    assert np.abs(through_hard_layer(picture, UNEVEN) - decoded).max() <= 3
    assert (
        np.abs(through_hard_layer(picture, UNEVEN.mT) - decoded).max() > 6
    )  # an oracle that can tell rows and columns


@pytest.mark.parametrize("shape", [(24, 40), (21, 35)])
def test_a_very_hard_layer_is_pillows_jpeg_in_colour_up_to_its_8_bit_ycbcr_samples(shape):
    picture = smooth_picture(*shape)
    decoded = through_pillow(picture, UNEVEN)
    difference = np.abs(through_hard_layer(picture, UNEVEN) - decoded)
    assert difference.max() <= 5  # twice half a level of Cb, times 1.77, luma, and the last rounding
    assert difference.mean() < 1
    for wrong in (UNEVEN.mT, UNEVEN.flip(0)):
        assert np.abs(through_hard_layer(picture, wrong) - decoded).mean() > 3
