"""Data sets on disk -> lists of pictures with labels and a split -> uint8 tensors."""

import io
import random
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from jpegdl.pairs.prepare import prepare

Picture = Path | bytes | np.ndarray  # a file, a file's bytes, or RGB values (H, W, 3) uint8

STORED_SIDE = 256  # pixels: training pictures are kept stretched to a square of this side
_SPLIT_SEED = 17


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
class TrainingTensors:
    """Training pictures, stretched to a square: images uint8 (N, 3, S, S), own shapes (N, 2) as height and width."""

    images: Tensor
    shapes: Tensor
    labels: Tensor


@dataclass(frozen=True)
class PreparedTensors:
    """Pictures as a network is tested on them: images uint8 (N, 3, size, size), labels (N,)."""

    images: Tensor
    labels: Tensor


def training_tensors(examples: Examples, side: int = STORED_SIDE) -> TrainingTensors:
    """Decode and stretch each picture to `side` x `side`; its own shape is kept for the geometry of the crops."""
    images, shapes = [], []
    for item in examples.pictures:
        picture = open_picture(item)
        shapes.append((picture.height, picture.width))
        stretched = picture.resize((side, side), Image.Resampling.BILINEAR)
        images.append(torch.from_numpy(np.array(stretched)).permute(2, 0, 1))
    return TrainingTensors(torch.stack(images).contiguous(), torch.tensor(shapes), torch.tensor(examples.labels))


def prepared_tensors(examples: Examples, size: int) -> PreparedTensors:
    """Decode each picture and prepare it exactly as the page prepares an upload."""
    images = torch.stack([prepare(open_picture(item), size) for item in examples.pictures])
    return PreparedTensors(images, torch.tensor(examples.labels))


def open_picture(item: Picture) -> Image.Image:
    """A picture from a path, a file's bytes or an (H, W, 3) uint8 array -> RGB image, decoded."""
    if isinstance(item, np.ndarray):
        return Image.fromarray(item, "RGB")
    with Image.open(io.BytesIO(item) if isinstance(item, bytes) else item) as picture:
        return picture.convert("RGB")


def stratified(labels: Sequence[int], per_class: Callable[[int], int], seed: int) -> tuple[list[int], list[int]]:
    """Positions split into (the rest, the drawn ones): per_class(size of the class) of each class, drawn by `seed`."""
    drawn: set[int] = set()
    for label in sorted(set(labels)):
        members = [position for position, value in enumerate(labels) if value == label]
        drawn.update(random.Random(f"{seed}:{label}").sample(members, per_class(len(members))))
    rest = [position for position in range(len(labels)) if position not in drawn]
    return rest, sorted(drawn)


def take(examples: Examples, positions: Sequence[int]) -> Examples:
    return Examples(tuple(examples.pictures[i] for i in positions), tuple(examples.labels[i] for i in positions))


def hold_out(examples: Examples, per_class: Callable[[int], int], seed: int) -> tuple[Examples, Examples]:
    """Split examples into (the rest, a seeded stratified part)."""
    rest, drawn = stratified(examples.labels, per_class, seed)
    return take(examples, rest), take(examples, drawn)


def read_dataset(name: str, folder: Path) -> Dataset:
    """Read the data set `name` from `folder`.

    Raises ValueError for an unknown name, or naming what the folder should hold when it does not.
    """
    if name not in READERS:
        raise ValueError(f"unknown data set {name!r}; this version reads {', '.join(READERS)}")
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a folder; pass the folder of the data set with --data")
    return READERS[name](folder)


def _flowers17(folder: Path) -> Dataset:
    """Oxford Flowers-17: folders `<nn>.<class>` of 80 pictures each, or flowers17.tar with them inside."""
    files = _files(folder, "flowers17.tar", "*/*.jpg")
    names = sorted({path.split("/")[0] for path in files})
    if len(names) != 17 or len(files) != 1360:
        raise ValueError(
            f"{folder} holds {len(files)} pictures in {len(names)} folders; Flowers-17 has 1360 in 17 folders "
            "(<nn>.<class>/<name>.jpg, or flowers17.tar)"
        )
    ordered = sorted(files)
    examples = Examples(
        tuple(files[path] for path in ordered), tuple(names.index(path.split("/")[0]) for path in ordered)
    )
    rest, test = hold_out(examples, lambda _: 20, _SPLIT_SEED)
    train, validation = hold_out(rest, lambda _: 6, _SPLIT_SEED)
    return Dataset(
        title="Oxford Flowers-17",
        source="Nilsback and Zisserman 2006",
        licence="research use; no picture of it is distributed here",
        split=f"seeded and stratified (seed {_SPLIT_SEED}): of each class 54 train, 6 validation, 20 test",
        class_names=tuple(name.split(".", 1)[1] for name in names),
        train=train,
        validation=validation,
        test=test,
    )


def _files(folder: Path, archive: str, pattern: str) -> dict[str, Picture]:
    """Relative path -> file of all pictures in folder/archive if it is there, else of folder/pattern."""
    if (folder / archive).is_file():
        with tarfile.open(folder / archive) as tar:
            members = [m for m in tar if m.isfile() and m.name.endswith(".jpg")]
            return {m.name.removeprefix("./"): tar.extractfile(m).read() for m in members}  # type: ignore[union-attr]
    return {path.relative_to(folder).as_posix(): path for path in folder.glob(pattern)}


READERS: Mapping[str, Callable[[Path], Dataset]] = {"flowers17": _flowers17}
