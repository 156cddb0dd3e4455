"""Pictures that do not fit into memory: decoded by worker processes while the network is trained or tested."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from jpegdl.pairs.pictures import Unreadable, read_picture
from jpegdl.pairs.prepare import prepare, to_unit
from jpegdl.training.augment import random_crops
from jpegdl.training.batches import SMALLEST_BATCH
from jpegdl.training.data import Batch, Batches, Examples

_BATCH = 64  # pictures at a time in tests


def streamed_batches(
    examples: Examples, size: int, batch_size: int, *, workers: int, device: torch.device, rank: int = 0, count: int = 1
) -> Batches:
    """Shuffled batches of random resized crops and mirror images, decoded anew in every epoch by `workers` processes.

    Order and crops depend on the epoch's generator alone, not on the number of workers. Of `count` processes, this
    one, `rank`, decodes every count-th picture of each global batch. A last batch that gives a process fewer than
    two pictures is left out. With 0 workers, pictures are decoded between the training steps.
    """

    def epoch(generator: torch.Generator) -> Iterator[Batch]:
        order = torch.randperm(len(examples), generator=generator)
        seeds = torch.randint(2**32, (len(examples),), generator=generator)  # of each picture's crop
        batches = [batch for batch in order.split(batch_size) if len(batch) >= SMALLEST_BATCH * count]
        shares = (torch.stack([batch, seeds[batch]], 1)[rank::count].tolist() for batch in batches)
        loaded = _loaded(_Crops(examples, size), shares, workers, pinned=device.type == "cuda")
        for batch, (images, labels) in zip(batches, loaded, strict=True):
            inputs = to_unit(images.to(device, non_blocking=True))
            yield Batch(inputs, labels.to(device, non_blocking=True), len(batch))

    return epoch


@dataclass(frozen=True)
class PreparedStream:
    """Pictures as a network is tested on them, decoded by `workers` processes whenever they are asked for."""

    examples: Examples
    size: int
    short_side: int
    workers: int

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Images uint8 (B, 3, size, size) and labels (B,), in the data set's order."""
        positions = torch.arange(len(self.examples)).split(_BATCH) if len(self.examples) else ()
        pictures = _Squares(self.examples, self.size, self.short_side)
        return _loaded(pictures, (batch.tolist() for batch in positions), self.workers, pinned=False)


class _Crops(Dataset[tuple[Tensor, int]]):
    """[position, seed] -> random crop uint8 (3, size, size), drawn by the seed, and the label."""

    def __init__(self, examples: Examples, size: int) -> None:
        self.examples, self.size = examples, size

    def __getitem__(self, drawn: Sequence[int]) -> tuple[Tensor, int]:
        position, seed = drawn
        picture, generator = read_picture(self.examples.pictures[position]).image, torch.Generator().manual_seed(seed)
        (crop,) = random_crops(torch.tensor([(picture.height, picture.width)]), generator).int().tolist()
        top, left, height, width = crop
        square = picture.crop((left, top, left + width, top + height)).resize(
            (self.size, self.size), Image.Resampling.BILINEAR
        )
        if torch.rand((), generator=generator) < 0.5:
            square = square.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        return torch.from_numpy(np.array(square)).permute(2, 0, 1).contiguous(), self.examples.labels[position]


class _Squares(Dataset[tuple[Tensor, int]]):
    """Position -> prepared picture uint8 (3, size, size) and its label."""

    def __init__(self, examples: Examples, size: int, short_side: int) -> None:
        self.examples, self.size, self.short_side = examples, size, short_side

    def __getitem__(self, position: int) -> tuple[Tensor, int]:
        picture = read_picture(self.examples.pictures[position]).image
        return prepare(picture, self.size, self.short_side), self.examples.labels[position]


def _loaded(
    pictures: Dataset[tuple[Tensor, int]], keys: Iterable[list[Any]], workers: int, *, pinned: bool
) -> Iterator[tuple[Tensor, Tensor]]:
    """For each list of keys a batch of pictures with labels (B,) int64, in this order. Raises Unreadable."""
    if workers < 0:
        raise ValueError(f"the number of workers must be zero or more, got {workers}")
    # A generator of its own, or the loader would draw from the caller's random state.
    loader: DataLoader[tuple[Tensor, int]] = DataLoader(
        pictures, batch_sampler=keys, num_workers=workers, pin_memory=pinned, generator=torch.Generator()
    )
    try:
        yield from loader
    except Unreadable as error:  # a worker's comes with a traceback in front of its sentence
        error.__traceback__ = None  # it holds the loader, which ends its workers at once only if nobody holds it
        raise Unreadable(str(error).strip().splitlines()[-1].partition("Unreadable: ")[2] or str(error)) from None
