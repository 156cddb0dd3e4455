"""Crops, mirror images and the strong augmentation: against torchvision, Pillow and brute force."""

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.stats import ks_2samp
from torch import Tensor
from torchvision.transforms import RandomResizedCrop

from jpegdl.training import strong
from jpegdl.training.augment import cubic, random_crops, random_resized_crop, random_shifted_crop, resample
from jpegdl.training.data import Examples, training_tensors
from jpegdl.training.strong import strong_batch
from tests.tiny import noise_bytes, smooth_picture


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# Random resized crops

SHAPES = [(256, 256), (256, 353), (500, 256), (90, 97)]


def torchvisions_crops(shape: tuple[int, int], count: int) -> np.ndarray:
    picture = torch.zeros(3, *shape)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        crops = [RandomResizedCrop.get_params(picture, [0.08, 1.0], [3 / 4, 4 / 3]) for _ in range(count)]
    return np.array(crops, dtype=float)


def our_crops(shape: tuple[int, int], count: int) -> np.ndarray:
    shapes = torch.tensor([shape]).expand(count, 2)
    return random_crops(shapes, torch.Generator().manual_seed(2)).numpy().astype(float)


@pytest.mark.parametrize("shape", [*SHAPES, (8, 300), (300, 8), (1, 1)])
def test_crops_are_whole_pixels_inside_the_picture(shape):
    top, left, height, width = our_crops(shape, 2000).T
    assert all((values == values.round()).all() for values in (top, left, height, width))
    assert min(top.min(), left.min()) >= 0
    assert min(height.min(), width.min()) >= 1
    assert (top + height).max() <= shape[0]
    assert (left + width).max() <= shape[1]


@pytest.mark.parametrize("shape", SHAPES)
def test_crops_are_distributed_as_torchvisions(shape):
    ours, theirs = our_crops(shape, 2000).T, torchvisions_crops(shape, 2000).T
    for measure in (
        lambda top, left, height, width: height * width,
        lambda top, left, height, width: width / height,
        lambda top, left, height, width: top / np.maximum(shape[0] - height, 1),
        lambda top, left, height, width: left / np.maximum(shape[1] - width, 1),
    ):
        assert ks_2samp(measure(*ours), measure(*theirs)).pvalue > 1e-3
        assert ks_2samp(measure(*ours) * 1.1 + 0.02, measure(*theirs)).pvalue < 1e-3  # it can tell a small difference


@pytest.mark.parametrize("shape", [(8, 300), (300, 8)])
def test_where_no_crop_fits_the_largest_centred_one_is_torchvisions(shape):
    assert np.array_equal(np.unique(our_crops(shape, 50), axis=0), np.unique(torchvisions_crops(shape, 50), axis=0))


def resized(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    picture = Image.fromarray(pixels).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(picture).astype(float)


def whole(values: float, count: int = 1) -> Tensor:
    return torch.full((count,), float(values))


@pytest.mark.parametrize(("side", "size"), [(64, 16), (50, 32), (16, 16), (10, 40)])
def test_resampling_a_whole_picture_is_pillows_antialiased_bilinear(side, size):
    pixels = np.random.default_rng(0).integers(0, 256, (side, side), dtype=np.uint8)
    matrix = resample(whole(0), whole(side), torch.tensor([False]), side, size)[0].numpy()
    assert np.abs(matrix @ pixels @ matrix.T - resized(pixels, size, size)).max() <= 1


@pytest.mark.parametrize(("start", "length", "size"), [(5, 40, 16), (24, 8, 16), (0, 13, 13)])
def test_resampling_a_stretch_uses_its_pixels_alone_as_pillow_does_after_a_crop(start, length, size):
    pixels = np.random.default_rng(0).integers(0, 256, (1, 64), dtype=np.uint8)
    matrix = resample(whole(start), whole(length), torch.tensor([False]), 64, size)[0].numpy()
    expected = resized(np.ascontiguousarray(pixels[:, start : start + length]), 1, size)
    assert np.abs(pixels @ matrix.T - expected).max() <= 1
    assert not matrix[:, :start].any()
    assert not matrix[:, start + length :].any()


def test_flip_mirrors():
    flip = torch.tensor([False, True])
    plain, mirrored = resample(whole(3.5, 2), whole(20.25, 2), flip, 32, 16)
    assert torch.allclose(mirrored, plain.flip(0), atol=1e-6)
    assert not torch.allclose(mirrored, plain, atol=0.1)


def test_a_crop_of_the_stretched_picture_is_the_crop_of_the_picture_half_of_them_mirrored():
    picture = smooth_picture(180, 320)
    data = training_tensors(Examples((np.asarray(picture),), (0,)))
    assert data.images.shape == (1, 3, 256, 256)
    assert data.shapes.tolist() == [[180, 320]]
    images, shapes = data.images.expand(16, 3, 256, 256), data.shapes.expand(16, 2)
    ours = random_resized_crop(images, shapes, 32, torch.Generator().manual_seed(5)) * 255
    flips = 0
    for crop, (top, left, height, width) in zip(
        ours, random_crops(shapes, torch.Generator().manual_seed(5)).int().tolist(), strict=True
    ):
        box = np.asarray(picture)[top : top + height, left : left + width]
        expected = resized(np.ascontiguousarray(box), 32, 32)
        plain, mirrored = (
            np.abs(crop.permute(1, 2, 0).numpy() - other).mean() for other in (expected, expected[:, ::-1])
        )
        flips += mirrored < plain
        assert min(plain, mirrored) < 3
    assert 3 <= flips <= 13


@pytest.mark.parametrize(("side", "size"), [(64, 16), (50, 32), (16, 16), (10, 40)])
def test_cubic_resampling_of_a_whole_picture_is_pillows_antialiased_bicubic(side, size):
    # No value near 0 or 255, where Pillow cuts off between the two directions.
    pixels = np.random.default_rng(0).integers(70, 186, (side, side), dtype=np.uint8)
    matrix = resample(whole(0), whole(side), torch.tensor([False]), side, size, cubic)[0].numpy()
    expected = np.asarray(Image.fromarray(pixels).resize((size, size), Image.Resampling.BICUBIC)).astype(float)
    assert np.abs(matrix @ pixels @ matrix.T - expected).max() <= 1
    bilinear = resample(whole(0), whole(side), torch.tensor([False]), side, size)[0].numpy()
    assert side == size or np.abs(bilinear @ pixels @ bilinear.T - expected).max() > 3


# Shifted crops


def brute_force_crops(picture: np.ndarray, padding: int) -> dict[bytes, tuple[int, int, bool]]:
    """Every crop of the zero-padded picture (3, H, W), as bytes -> top, left, mirrored."""
    _, height, width = picture.shape
    padded = np.zeros((3, height + 2 * padding, width + 2 * padding), np.uint8)
    padded[:, padding : padding + height, padding : padding + width] = picture
    found = {}
    for top in range(2 * padding + 1):
        for left in range(2 * padding + 1):
            crop = padded[:, top : top + height, left : left + width]
            found[crop.tobytes()] = (top, left, False)
            found[crop[:, :, ::-1].tobytes()] = (top, left, True)
    return found


@pytest.mark.parametrize(("height", "width", "padding"), [(12, 12, 4), (9, 14, 2)])
def test_shifted_crops_are_crops_of_the_zero_padded_picture_every_one_of_them_drawn(height, width, padding):
    picture = noise_bytes(1, 14)[:, :, :height, :width]
    crops = random_shifted_crop(picture.expand(1500, -1, -1, -1), padding, seeded(3))
    assert (crops.dtype, crops.shape) == (torch.float32, (1500, 3, height, width))
    known = brute_force_crops(picture[0].numpy(), padding)
    drawn = [known[crop.tobytes()] for crop in (crops * 255).round().to(torch.uint8).numpy()]
    sides = 2 * padding + 1
    assert len(set(drawn)) > 0.95 * 2 * sides**2
    tops, lefts, mirrored = np.array(drawn).T
    for values, count in ((tops, sides), (lefts, sides), (mirrored, 2)):
        assert np.bincount(values, minlength=count) == pytest.approx(1500 / count, rel=0.35)


def test_every_picture_of_a_batch_is_shifted_by_itself_and_all_channels_together():
    pictures = noise_bytes(20, 10)
    crops = (random_shifted_crop(pictures, 4, seeded(1)) * 255).round().to(torch.uint8).numpy()
    drawn = [
        brute_force_crops(picture, 4)[crop.tobytes()] for picture, crop in zip(pictures.numpy(), crops, strict=True)
    ]
    assert len(set(drawn)) > 15


def test_without_padding_shifted_crops_are_the_picture_or_its_mirror_image():
    pictures = noise_bytes(30, 8)
    crops = random_shifted_crop(pictures, 0, seeded(2))
    plain = (crops * 255 - pictures).abs().amax((1, 2, 3)) < 1e-3
    mirrored = (crops * 255 - pictures.flip(3)).abs().amax((1, 2, 3)) < 1e-3
    assert bool((plain ^ mirrored).all())
    assert 8 <= int(plain.sum()) <= 22


def test_shifted_crops_repeat_with_the_generator_and_leave_other_random_states_alone():
    state = torch.random.get_rng_state()
    first, again, other = (random_shifted_crop(noise_bytes(8, 16), 4, seeded(seed)) for seed in (5, 5, 6))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_negative_padding_is_refused():
    with pytest.raises(ValueError, match="padding must be zero or more pixels, got -1"):
        random_shifted_crop(noise_bytes(1, 8), -1, seeded(0))


# The strong augmentation

LABELS = torch.tensor([3, 0, 2, 4, 1, 2])


def strong_noise(seed: int) -> tuple[Tensor, Tensor]:
    return strong_batch(noise_bytes(6, 40), torch.tensor([(30, 50)]).expand(6, 2), LABELS, 5, 24, seeded(seed))


def single(value: int, seed: int, **options: float) -> tuple[Tensor, Tensor]:
    """One picture of one grey level, which has no other to be mixed with."""
    picture = torch.full((1, 3, 32, 32), value, dtype=torch.uint8)
    return strong_batch(picture, torch.tensor([(32, 32)]), torch.tensor([1]), 3, 32, seeded(seed), **options)


def test_strong_batches_are_pictures_in_0_to_1_with_probabilities_of_the_picture_and_its_neighbour():
    for seed in range(5):
        inputs, targets = strong_noise(seed)
        assert (inputs.shape, inputs.dtype, targets.shape) == ((6, 3, 24, 24), torch.float32, (6, 5))
        assert inputs.min() >= 0
        assert inputs.max() <= 1
        assert torch.allclose(targets.sum(1), torch.ones(6))
        own, neighbour = targets[torch.arange(6), LABELS], targets[torch.arange(6), LABELS.roll(1)]
        assert torch.allclose(own + neighbour, torch.ones(6))
        assert torch.allclose(own, own[:1].expand(6))  # one share for the batch


def test_strong_batches_depend_on_the_generator_alone_and_leave_other_random_states_alone():
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(1)
        state = torch.random.get_rng_state()
        first = strong_noise(7)
        assert torch.equal(torch.random.get_rng_state(), state)
        torch.manual_seed(2)
        again, other = strong_noise(7), strong_noise(8)
    assert all(torch.equal(one, two) for one, two in zip(first, again, strict=True))
    assert not torch.equal(first[0], other[0])


def test_mixup_and_cutmix_alternate_and_targets_are_the_shares_of_the_pictures(monkeypatch):
    monkeypatch.setattr(strong, "_OPERATION_RATE", 0.0)
    monkeypatch.setattr(strong, "_ERASING_RATE", 0.0)
    pictures = torch.tensor([255, 0], dtype=torch.uint8).view(2, 1, 1, 1).expand(2, 3, 32, 32)
    shapes, labels, mixups = torch.tensor([(32, 32)] * 2), torch.tensor([0, 1]), 0
    for seed in range(40):
        inputs, targets = strong_batch(pictures, shapes, labels, 2, 32, seeded(seed), colour_jitter=0)
        assert inputs.mean((1, 2, 3)).tolist() == pytest.approx(targets[:, 0].tolist(), abs=1e-5)
        binary = ((inputs < 1e-6) | (inputs > 1 - 1e-6)).all()
        mixups += not binary
    assert 10 <= mixups <= 30


def test_a_quarter_of_the_pictures_get_a_rectangle_of_noise(monkeypatch):
    monkeypatch.setattr(strong, "_OPERATION_RATE", 0.0)
    erased = 0
    for seed in range(160):
        inputs, targets = single(0, seed, colour_jitter=0)
        assert targets.tolist() == [[0, 1, 0]]
        rows, columns = (inputs[0].amax((0, axis)) > 0 for axis in (2, 1))
        if rows.any():
            erased += 1
            box = inputs[0][:, rows][:, :, columns]
            assert 0.015 < box[0].numel() / 32**2 < 0.36
            assert (box > 0).float().mean() > 0.8  # noise about grey, 2.3 % of it cut off at black
            assert 0.3 < box.mean() < 0.7
            assert box.std() > 0.1
    assert 25 <= erased <= 55


def test_about_a_third_of_the_pictures_are_left_alone_by_the_random_operations(monkeypatch):
    monkeypatch.setattr(strong, "_ERASING_RATE", 0.0)
    picture, shape = noise_bytes(1, 32), torch.tensor([(32, 32)])
    alike = 0
    for seed in range(150):
        inputs, _ = strong_batch(picture, shape, torch.tensor([0]), 2, 16, seeded(seed), colour_jitter=0)
        crop = random_resized_crop(picture, shape, 16, seeded(seed), cubic).clamp(0, 1)
        alike += bool((inputs - crop).abs().max() < 0.6 / 255)
    # Each of two operations is left out half of the time, is the identity in 1 of 14, or finds nothing to change.
    assert 0.22 < alike / 150 < 0.45


def test_jitter_changes_brightness_by_up_to_two_fifths(monkeypatch):
    monkeypatch.setattr(strong, "_OPERATION_RATE", 0.0)
    monkeypatch.setattr(strong, "_ERASING_RATE", 0.0)
    levels = torch.cat([single(150, seed)[0].flatten() for seed in range(60)]) * 255
    assert levels.min() >= 150 * 0.6 - 1
    assert levels.max() <= 150 * 1.4 + 1
    assert levels.min() < 105
    assert levels.max() > 195
    assert torch.allclose(single(150, 0, colour_jitter=0)[0] * 255, torch.tensor(150.0))
