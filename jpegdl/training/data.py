"""Lists of pictures with labels and a split -> uint8 tensors."""

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from jpegdl.pairs.pictures import Picture, read_picture
from jpegdl.pairs.prepare import prepare

_BATCH = 64  # pictures at a time in tests
_STORED_SIDE = 256  # pixels: training pictures are kept stretched to a square of this side

# Given an epoch's CPU generator, the same for both arms: its batches of inputs (B, 3, S, S) in [0, 1] and targets, (B,)
# class numbers or (B, classes) probabilities. Several processes take shares of one global batch each.
Batches = Callable[[torch.Generator], Iterator["Batch"]]


@dataclass(frozen=True)
class Examples:
    """Pictures and their labels, in a fixed order."""

    pictures: tuple[Picture, ...]
    labels: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A data set with its split. The test part chooses nothing; the validation part is taken out of training."""

    title: str
    source: str
    licence: str
    split: str
    class_names: tuple[str, ...]
    train: Examples
    validation: Examples
    test: Examples


@dataclass(frozen=True)
class Batch:
    """A process's share of a global batch of `size` pictures."""

    inputs: Tensor
    targets: Tensor
    size: int


@dataclass(frozen=True)
class TrainingTensors:
    """Training pictures, stretched to a square: images uint8 (N, 3, S, S), own shapes (N, 2) as height and width."""

    images: Tensor
    shapes: Tensor
    labels: Tensor


@dataclass(frozen=True)
class TrainingSet:
    """What is trained on: batches for an epoch's generator, and how many an epoch has."""

    batches: Batches
    steps: int


class Prepared(Protocol):
    """Pictures as a network is tested on them."""

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Images uint8 (B, 3, size, size) and labels (B,), in the data set's order."""
        ...


@dataclass(frozen=True)
class PreparedTensors:
    """Prepared pictures in memory: images uint8 (N, 3, size, size), labels (N,)."""

    images: Tensor
    labels: Tensor

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        return zip(self.images.split(_BATCH), self.labels.split(_BATCH), strict=True)


@dataclass(frozen=True)
class ToldPictures:
    """Prepared pictures that say how many of them were taken, after each batch."""

    pictures: Prepared
    tell: Callable[[int], None]

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        done = 0
        for images, labels in self.pictures.batches():
            yield images, labels
            done += len(labels)
            self.tell(done)


def to_examples(pairs: Iterable[tuple[Picture, int]]) -> Examples:
    """(picture, label) pairs -> Examples; a path that leads nowhere is refused here, not after an hour."""
    pictures, labels = zip(*pairs, strict=True) if (pairs := list(pairs)) else ((), ())
    missing = [picture for picture in pictures if isinstance(picture, Path) and not picture.is_file()]
    if missing:
        raise ValueError(f"{missing[0]} is missing, with {len(missing) - 1} others; unpack the data set again")
    return Examples(pictures, labels)


def training_tensors(examples: Examples, side: int | None = None) -> TrainingTensors:
    """Decode and stretch each picture to `side` x `side`; its own shape is kept for the geometry of the crops.

    Without `side`: 256 pixels, or the longest side of all pictures if that is less.
    """
    side = side or _stored_side(examples)
    images, shapes = [], []
    for item in examples.pictures:
        picture = read_picture(item).image
        shapes.append((picture.height, picture.width))
        stretched = picture.resize((side, side), Image.Resampling.BILINEAR)
        images.append(torch.from_numpy(np.array(stretched)).permute(2, 0, 1))
    return TrainingTensors(torch.stack(images).contiguous(), torch.tensor(shapes), torch.tensor(examples.labels))


def _stored_side(examples: Examples) -> int:
    longest = 1
    for item in examples.pictures:
        longest = max(longest, *read_picture(item).image.size)
        if longest >= _STORED_SIDE:
            return _STORED_SIDE
    return longest


def prepared_tensors(examples: Examples, size: int, short_side: int) -> PreparedTensors:
    """Decode each picture and prepare it exactly as the page prepares an upload."""
    images = torch.stack([prepare(read_picture(item).image, size, short_side) for item in examples.pictures])
    return PreparedTensors(images, torch.tensor(examples.labels))


def stratified(labels: Sequence[int], per_class: Callable[[int], int], seed: int) -> tuple[list[int], list[int]]:
    """Positions split into (the rest, the drawn ones): per_class(size of the class) of each class, drawn by `seed`."""
    members: dict[int, list[int]] = {}
    for position, label in enumerate(labels):
        members.setdefault(label, []).append(position)
    drawn: set[int] = set()
    for label in sorted(members):
        drawn.update(random.Random(f"{seed}:{label}").sample(members[label], per_class(len(members[label]))))
    rest = [position for position in range(len(labels)) if position not in drawn]
    return rest, sorted(drawn)


def evenly(examples: Examples, count: int) -> Examples:
    """At most `count` examples, at equal distances."""
    return examples if len(examples) <= count else take(examples, [n * len(examples) // count for n in range(count)])


def equally_spaced(count: int, wanted: int) -> list[int]:
    """`wanted` of `count` positions, from the first to the last."""
    positions: list[int] = np.linspace(0, count - 1, wanted).round().astype(int).tolist()
    return positions


def take(examples: Examples, positions: Sequence[int]) -> Examples:
    return Examples(tuple(examples.pictures[i] for i in positions), tuple(examples.labels[i] for i in positions))


def hold_out(examples: Examples, per_class: Callable[[int], int], seed: int) -> tuple[Examples, Examples]:
    """Split examples into (the rest, a seeded stratified part)."""
    rest, drawn = stratified(examples.labels, per_class, seed)
    return take(examples, rest), take(examples, drawn)
