"""Pictures decoded by worker processes: the same batches as without workers, labels that fit, shares that add up."""

from multiprocessing import active_children
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.stats import ks_2samp
from torch import Tensor
from torchvision.transforms import RandomResizedCrop

from jpegdl.pairs.pictures import Unreadable, read_picture
from jpegdl.pairs.prepare import prepare
from jpegdl.training.data import Batch, Examples
from jpegdl.training.imagenet import PreparedStream, streamed_batches
from tests.tiny import colour_of

CPU = torch.device("cpu")
# torch starts workers with fork; Python from 3.12 on warns of that in a process that has threads.
pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


def write_pictures(folder: Path, count: int) -> Examples:
    """Files of different shapes, each of its label's colour."""
    paths = [folder / f"{number:03}.png" for number in range(count)]
    for number, path in enumerate(paths):
        Image.new("RGB", (20 + number % 7, 18 + number % 5), colour_of(number)).save(path)
    return Examples(tuple(paths), tuple(range(count)))


def gradients(count: int, height: int, width: int) -> Examples:
    """Pictures whose red is the column and whose green is the row, in steps of one."""
    rows, columns = np.mgrid[0:height, 0:width]
    picture = np.stack([columns, rows, 0 * rows], axis=-1).astype(np.uint8)
    return Examples((picture,) * count, (0,) * count)


def epoch(
    examples: Examples,
    seed: int = 3,
    *,
    size: int = 16,
    batch_size: int = 8,
    workers: int = 0,
    rank: int = 0,
    count: int = 1,
) -> list[Batch]:
    batches = streamed_batches(examples, size, batch_size, workers=workers, device=CPU, rank=rank, count=count)
    return list(batches(torch.Generator().manual_seed(seed)))


def same(first: list[Batch], second: list[Batch]) -> bool:
    return all(
        torch.equal(one.inputs, two.inputs) and torch.equal(one.targets, two.targets) and one.size == two.size
        for one, two in zip(first, second, strict=True)
    )


def test_an_epoch_has_every_picture_once_with_its_label_in_shuffled_batches(tmp_path):
    batches = epoch(write_pictures(tmp_path, 30))
    assert [batch.size for batch in batches] == [len(batch.inputs) for batch in batches] == [8, 8, 8, 6]
    inputs, targets = (torch.cat([getattr(batch, name) for batch in batches]) for name in ("inputs", "targets"))
    assert (inputs.dtype, inputs.shape, targets.dtype) == (torch.float32, (30, 3, 16, 16), torch.int64)
    assert sorted(targets.tolist()) == list(range(30))
    assert targets.tolist() != list(range(30))
    expected = torch.tensor([colour_of(label) for label in targets.tolist()])
    assert torch.equal((inputs * 255).round(), expected[:, :, None, None].expand(30, 3, 16, 16).float())


def test_two_workers_give_the_same_batches_as_none(tmp_path):
    examples = gradients(20, 90, 120)
    assert same(epoch(examples, workers=2), epoch(examples))
    pictures = write_pictures(tmp_path, 70)
    assert same(epoch(pictures, workers=2), epoch(pictures))


def test_epochs_repeat_with_their_generator_and_other_random_states_are_left_alone():
    examples = gradients(20, 90, 120)
    state = torch.random.get_rng_state()
    first = epoch(examples, 3)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert same(first, epoch(examples, 3))
    assert not same(first, epoch(examples, 4))


def window(crop: Tensor, size: int) -> tuple[float, float, float, float, bool]:
    """Top, left, height, width and whether it is mirrored, of a crop of `gradients`, from its inner pixels."""
    columns, rows = crop[0].mean(0) * 255, crop[1].mean(1) * 255
    across, down = ((line[-3] - line[2]).item() / (size - 5) for line in (columns, rows))  # pixels per output pixel
    height, width = down * size, abs(across) * size
    first_column, first_row = min(columns[2].item(), columns[-3].item()), rows[2].item()
    return first_row - 2.5 * down + 0.5, first_column - 2.5 * abs(across) + 0.5, height, width, across < 0


def test_crops_are_inside_the_picture_distributed_as_torchvisions_and_half_are_mirrored():
    height, width, size, total = 100, 150, 24, 300
    crops = torch.cat([batch.inputs for batch in epoch(gradients(total, height, width), size=size, batch_size=50)])
    windows = np.array([window(crop, size) for crop in crops], dtype=float)
    top, left, high, wide, mirrored = windows.T
    assert min(top.min(), left.min()) > -1
    assert (top + high).max() < height + 1
    assert (left + wide).max() < width + 1
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(1)
        picture = torch.zeros(3, height, width)
        boxes = [RandomResizedCrop.get_params(picture, [0.08, 1.0], [3 / 4, 4 / 3]) for _ in range(1000)]
    for ours, theirs in zip((top, left, high, wide), np.array(boxes, dtype=float).T, strict=True):
        assert ks_2samp(ours.round(), theirs).pvalue > 1e-3
        assert ks_2samp(ours.round() * 1.2 + 3, theirs).pvalue < 1e-3  # it can tell a small difference
    assert 0.4 < mirrored.mean() < 0.6
    assert len(np.unique(windows.round(1), axis=0)) > 0.95 * total


def test_the_shares_of_the_processes_together_are_the_global_batches():
    examples = gradients(30, 60, 60)
    alone = epoch(examples)
    shares = [epoch(examples, rank=rank, count=2) for rank in (0, 1)]
    for batch, first, second in zip(alone, *shares, strict=True):
        assert first.size == second.size == batch.size
        together = torch.empty_like(batch.inputs)
        together[0::2], together[1::2] = first.inputs, second.inputs
        assert torch.equal(together, batch.inputs)


@pytest.mark.parametrize(("count", "sizes"), [(1, [8, 8, 2]), (2, [8, 8])])
def test_a_last_batch_with_fewer_than_two_pictures_for_a_process_is_left_out(count, sizes):
    assert [batch.size for batch in epoch(gradients(18, 30, 30), rank=count - 1, count=count)] == sizes
    assert [batch.size for batch in epoch(gradients(17, 30, 30))] == [8, 8]


@pytest.mark.parametrize("workers", [0, 2])
def test_test_pictures_are_prepared_as_the_page_does_in_order(tmp_path, workers):
    examples = write_pictures(tmp_path, 70)
    images, labels = zip(*PreparedStream(examples, 16, 18, workers).batches(), strict=True)
    assert torch.cat(labels).tolist() == list(range(70))
    expected = torch.stack([prepare(read_picture(path).image, 16, 18) for path in examples.pictures])
    assert torch.equal(torch.cat(images), expected)


def test_test_pictures_can_be_read_twice_and_none_gives_no_batch(tmp_path):
    stream = PreparedStream(write_pictures(tmp_path, 5), 16, 18, 0)
    assert len(list(stream.batches())) == len(list(stream.batches())) == 1
    assert list(PreparedStream(Examples((), ()), 16, 18, 0).batches()) == []


@pytest.mark.parametrize("workers", [0, 1])
def test_a_picture_that_cannot_be_decoded_is_named_and_no_worker_is_left(tmp_path, workers):
    examples = write_pictures(tmp_path, 8)
    (tmp_path / "005.png").write_bytes((tmp_path / "005.png").read_bytes()[:50])
    with pytest.raises(
        Unreadable, match=r"005\.png cannot be decoded as a picture .*; restore or remove it$"
    ) as caught:
        epoch(examples, workers=workers)
    assert active_children() == []
    assert str(caught.value).startswith(f"{tmp_path}")
    assert "\n" not in str(caught.value)


def test_a_negative_number_of_workers_is_refused():
    with pytest.raises(ValueError, match="workers must be zero or more, got -1"):
        epoch(gradients(4, 20, 20), workers=-1)
