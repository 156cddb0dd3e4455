"""Data sets that torchvision keeps in a folder of its own: read, and downloaded when the user asks for it."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from torchvision.datasets import CIFAR100, Flowers102, Imagenette, OxfordIIITPet

from jpegdl.pairs.facts import RESIZED_COPY
from jpegdl.pairs.pictures import Picture, Unreadable, read_picture
from jpegdl.training.data import Dataset, Examples, to_examples
from jpegdl.training.packs import cifar_packs
from jpegdl.training.validation import SPLIT_SEED, TENTH, with_validation

# Name -> torchvision's class and the part to ask for; one download brings all parts.
DOWNLOADS: Mapping[str, tuple[Callable[..., Any], Mapping[str, Any]]] = {
    "cifar100": (CIFAR100, {"train": True}),
    "flowers102": (Flowers102, {"split": "train"}),
    "flowers102-authors": (Flowers102, {"split": "train"}),
    "flowers102-trainval": (Flowers102, {"split": "train"}),
    "pets": (OxfordIIITPet, {"split": "trainval"}),
    "imagenette": (Imagenette, {"split": "train", "size": "320px"}),
}


def download_dataset(name: str, folder: Path) -> None:
    """Download the data set `name` into `folder`, which is made if need be; what is there already is kept.

    Raises ValueError for one that torchvision cannot download, and when the download fails.
    """
    if name not in DOWNLOADS:
        raise ValueError(
            f"{name} cannot be downloaded here, only {', '.join(DOWNLOADS)}; get it from its authors, unpack it and "
            "pass its folder with --data"
        )
    data_set, part = DOWNLOADS[name]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        data_set(folder, download=True, **part)
    except (RuntimeError, OSError) as error:
        raise ValueError(
            f"{name} could not be downloaded to {folder} ({error}); check network and free space, try again"
        ) from None


def cifar100(folder: Path) -> Dataset:
    """CIFAR-100: cifar100_part1.tar and cifar100_part2.tar, or torchvision's folder cifar-100-python."""
    packs = [folder / f"cifar100_part{part}.tar" for part in (1, 2)]
    if all(pack.is_file() for pack in packs):
        names, everything, test = cifar_packs(packs)
    elif (folder / "cifar-100-python").is_dir():
        loaded = [_opened(CIFAR100, folder, "cifar-100-python", train=part) for part in (True, False)]
        names = tuple(loaded[0].classes)
        everything, test = (to_examples(zip(part.data, part.targets, strict=True)) for part in loaded)
    else:
        raise ValueError(
            f"{folder} holds neither cifar100_part1.tar and cifar100_part2.tar nor torchvision's cifar-100-python"
        )
    train, validation = with_validation(everything)
    return Dataset(
        title="CIFAR-100",
        source="Krizhevsky 2009",
        licence="none stated; no picture of it is distributed here",
        split=f"official; {TENTH}",
        class_names=tuple(name.replace("_", " ") for name in names),
        train=train,
        validation=validation,
        test=test,
    )


def flowers102(folder: Path) -> Dataset:
    """Oxford Flowers-102 with its official parts: train 1,020, validation 1,020, test 6,149."""
    train, validation, test = _flowers102_parts(folder)
    return _flowers102("official train, validation and test", train, validation, test)


def flowers102_authors(folder: Path) -> Dataset:
    """Oxford Flowers-102 as the paper's convolutional networks saw it: official train against official validation.

    The official test part is left, so a tenth of it is our validation part and all 1,020 of train are trained on.
    """
    train, test, unused = _flowers102_parts(folder)
    _, validation = with_validation(unused)
    split = (
        "the authors': official train, and official validation as the test part; validation: a tenth of each class of "
        f"the official test part, at least one, drawn by seed {SPLIT_SEED}"
    )
    return _flowers102(split, train, validation, test)


def flowers102_trainval(folder: Path) -> Dataset:
    """Oxford Flowers-102 as the paper's EfficientFormer saw it: 2,040 of train and validation against test."""
    first, second, test = _flowers102_parts(folder)
    train, validation = with_validation(_joined((first, second)))
    return _flowers102(f"official, train with validation against test; {TENTH}", train, validation, test)


def pets(folder: Path) -> Dataset:
    """Oxford-IIIT Pet as torchvision stores it, in oxford-iiit-pet, or a copy of it in squares."""
    parts = [_opened(OxfordIIITPet, folder, "oxford-iiit-pet", split=split) for split in ("trainval", "test")]
    everything, test = (to_examples(zip(part._images, part._labels, strict=True)) for part in parts)
    train, validation = with_validation(everything)
    copied = all(_size(picture) == (512, 512) for picture in test.pictures[:50])
    return Dataset(
        title="Oxford-IIIT Pet" + (f", {RESIZED_COPY}" if copied else ""),
        source="Parkhi et al. 2012" + ("; pictures squashed to 512 × 512 pixels and compressed anew" if copied else ""),
        licence="CC BY-SA 4.0; no picture of it is distributed here",
        split=f"official; {TENTH}",
        class_names=tuple(parts[0].classes),
        train=train,
        validation=validation,
        test=test,
    )


def _flowers102_parts(folder: Path) -> tuple[Examples, Examples, Examples]:
    """Official train, validation and test as torchvision stores them, in flowers-102."""
    parts = (_opened(Flowers102, folder, "flowers-102", split=split) for split in ("train", "val", "test"))
    train, validation, test = (to_examples(zip(part._image_files, part._labels, strict=True)) for part in parts)
    return train, validation, test


def _flowers102(split: str, train: Examples, validation: Examples, test: Examples) -> Dataset:
    return Dataset(
        title="Oxford Flowers-102",
        source="Nilsback and Zisserman 2008",
        licence="research use; no picture of it is distributed here",
        split=split,
        class_names=tuple(Flowers102.classes),
        train=train,
        validation=validation,
        test=test,
    )


def _size(picture: Picture) -> tuple[int, int]:
    """Width and height; those of an unreadable file are nothing, which the check of the data set says in words."""
    try:
        return read_picture(picture).image.size
    except Unreadable:
        return (0, 0)


def _joined(parts: Iterable[Examples]) -> Examples:
    return to_examples(pair for part in parts for pair in zip(part.pictures, part.labels, strict=True))


def _opened(data_set: Callable[..., Any], folder: Path, inside: str, **part: Any) -> Any:
    """One part of a data set that torchvision can read from `folder`/`inside`, without downloading it."""
    try:
        return data_set(folder, download=False, **part)
    except Exception:  # torchvision, scipy and pickle raise their own kinds
        raise ValueError(
            f"{folder / inside} is missing, incomplete or changed; it must be the folder that torchvision's "
            f"{data_set.__name__} makes"
        ) from None
