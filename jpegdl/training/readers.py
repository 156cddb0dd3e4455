"""Data sets on disk -> pictures with labels and a split. Nothing is downloaded.

Each reader takes the folder given by --data and raises ValueError, saying what it should hold, when it does not.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torchvision.datasets import CIFAR100, Flowers102, OxfordIIITPet

from jpegdl.training.data import Dataset, Examples, Picture, hold_out, to_examples
from jpegdl.training.packs import cifar_packs, cub_files, numbered_lines, unpacked

_SPLIT_SEED = 17
_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
_CUB_CLASSES = 50
_VALIDATION = f"validation: a tenth of each class of train, at least one, drawn by seed {_SPLIT_SEED}"


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
    if (folder / "flowers17.tar").is_file():
        packed = unpacked(folder / "flowers17.tar")
        files: dict[str, Picture] = {name: packed[name] for name in packed if name.endswith(".jpg")}
    else:
        files = {path.relative_to(folder).as_posix(): path for path in folder.glob("*/*.jpg")}
    names = sorted({path.split("/")[0] for path in files})
    if len(names) != 17 or len(files) != 1360:
        raise ValueError(
            f"{folder} holds {len(files)} pictures in {len(names)} folders; Flowers-17 has 1360 in 17 folders "
            "(<nn>.<class>/<name>.jpg, or flowers17.tar)"
        )
    examples = to_examples((files[path], names.index(path.split("/")[0])) for path in sorted(files))
    rest, test = hold_out(examples, lambda _: 20, _SPLIT_SEED)
    train, validation = hold_out(rest, lambda _: 6, _SPLIT_SEED)
    return Dataset(
        title="Oxford Flowers-17",
        source="Nilsback and Zisserman 2006",
        licence="research use; no picture of it is distributed here",
        split=f"seeded and stratified (seed {_SPLIT_SEED}): of each class 54 train, 6 validation, 20 test",
        class_names=tuple(name.split(".", 1)[1].replace("_", " ") for name in names),
        train=train,
        validation=validation,
        test=test,
    )


def _cub50(folder: Path) -> Dataset:
    """First 50 classes of CUB-200-2011: cub50_train.tar and cub50_test.tar, or the official folder, unpacked."""
    files = cub_files(folder)
    rows = {name: numbered_lines(files, name) for name in ("classes.txt", "images.txt", "train_test_split.txt")}
    # The label of a picture is its folder's number.
    names = [row[1] for row in rows["classes.txt"][:_CUB_CLASSES]]
    in_train = {row[0]: row[1] == "1" for row in rows["train_test_split.txt"]}
    parts: dict[bool, list[tuple[Picture, int]]] = {True: [], False: []}
    for number, path in rows["images.txt"]:
        if path.split("/")[0] in names:
            if f"images/{path}" not in files or number not in in_train:
                raise ValueError(f"{folder}: images/{path} is listed in images.txt, but it or its split is missing")
            parts[in_train[number]].append((files[f"images/{path}"], names.index(path.split("/")[0])))
    train, validation = _with_validation(to_examples(parts[True]))
    return Dataset(
        title="first 50 classes of CUB-200-2011",
        source="Wah et al. 2011",
        licence="non-commercial research and education; no picture of it is distributed here",
        split=f"official; {_VALIDATION}",
        class_names=tuple(name.split(".", 1)[1].replace("_", " ") for name in names),
        train=train,
        validation=validation,
        test=to_examples(parts[False]),
    )


def _cifar100(folder: Path) -> Dataset:
    """CIFAR-100: cifar100_part1.tar and cifar100_part2.tar, or torchvision's folder cifar-100-python."""
    packs = [folder / f"cifar100_part{part}.tar" for part in (1, 2)]
    if all(pack.is_file() for pack in packs):
        names, everything, test = cifar_packs(packs)
    elif (folder / "cifar-100-python").is_dir():
        loaded = [_torchvision(CIFAR100, folder, "cifar-100-python", train=part) for part in (True, False)]
        names = tuple(loaded[0].classes)
        everything, test = (to_examples(zip(part.data, part.targets, strict=True)) for part in loaded)
    else:
        raise ValueError(
            f"{folder} holds neither cifar100_part1.tar and cifar100_part2.tar nor torchvision's cifar-100-python"
        )
    train, validation = _with_validation(everything)
    return Dataset(
        title="CIFAR-100",
        source="Krizhevsky 2009",
        licence="none stated; no picture of it is distributed here",
        split=f"official; {_VALIDATION}",
        class_names=tuple(name.replace("_", " ") for name in names),
        train=train,
        validation=validation,
        test=test,
    )


def _flowers102(folder: Path) -> Dataset:
    """Oxford Flowers-102 as torchvision stores it, in flowers-102; its own validation split is the validation part."""
    parts = [_torchvision(Flowers102, folder, "flowers-102", split=split) for split in ("train", "val", "test")]
    train, validation, test = (to_examples(zip(part._image_files, part._labels, strict=True)) for part in parts)
    return Dataset(
        title="Oxford Flowers-102",
        source="Nilsback and Zisserman 2008",
        licence="research use; no picture of it is distributed here",
        split="official train, validation and test",
        class_names=tuple(Flowers102.classes),
        train=train,
        validation=validation,
        test=test,
    )


def _pets(folder: Path) -> Dataset:
    """Oxford-IIIT Pet as torchvision stores it, in oxford-iiit-pet."""
    parts = [_torchvision(OxfordIIITPet, folder, "oxford-iiit-pet", split=split) for split in ("trainval", "test")]
    everything, test = (to_examples(zip(part._images, part._labels, strict=True)) for part in parts)
    train, validation = _with_validation(everything)
    return Dataset(
        title="Oxford-IIIT Pet",
        source="Parkhi et al. 2012",
        licence="CC BY-SA 4.0; no picture of it is distributed here",
        split=f"official; {_VALIDATION}",
        class_names=tuple(parts[0].classes),
        train=train,
        validation=validation,
        test=test,
    )


def _imagefolder(folder: Path) -> Dataset:
    """Any pictures: train/<class>/ and test/<class>/ or val/<class>/; with all three, val/ is the validation part."""
    parts = {part: _class_folders(folder / part) for part in ("train", "val", "test") if (folder / part).is_dir()}
    if "train" not in parts or len(parts) < 2:
        raise ValueError(f"{folder} must hold train/<class>/ and test/<class>/ or val/<class>/ with pictures")
    names = sorted(parts["train"])
    for part, classes in parts.items():
        odd = sorted(set(classes) ^ set(names))
        if odd or len(names) < 2:
            raise ValueError(
                f"{folder / part} must hold the classes of train/, at least two, all with pictures; "
                f"check {', '.join(odd or names)}"
            )
    read = {
        part: to_examples((path, names.index(name)) for name in names for path in classes[name])
        for part, classes in parts.items()
    }
    if len(parts) == 3:
        train, validation, split = read["train"], read["val"], "the folders train, val and test"
    else:
        train, validation = _with_validation(read["train"])
        split = f"the folders {' and '.join(parts)}; {_VALIDATION}"
    return Dataset(
        title=folder.resolve().name,
        source="pictures in folders",
        licence="not known",
        split=split,
        class_names=tuple(names),
        train=train,
        validation=validation,
        test=read["test"] if "test" in read else read["val"],
    )


def _class_folders(folder: Path) -> dict[str, list[Path]]:
    """Name of each folder inside that holds pictures -> its pictures in name order."""
    found = {
        inner.name: sorted(path for path in inner.iterdir() if path.suffix.lower() in _SUFFIXES)
        for inner in folder.iterdir()
        if inner.is_dir()
    }
    return {name: paths for name, paths in found.items() if paths}


def _with_validation(examples: Examples) -> tuple[Examples, Examples]:
    """Training examples -> (the rest, a seeded tenth of each class, at least one picture)."""
    counts = Counter(examples.labels)
    if not counts or min(counts.values()) < 2:
        raise ValueError("every class needs at least two training pictures, one of them for validation")
    return hold_out(examples, lambda count: max(1, count // 10), _SPLIT_SEED)


def _torchvision(data_set: Callable[..., Any], folder: Path, inside: str, **part: Any) -> Any:
    """One part of a data set that torchvision can read from `folder`/`inside`, without downloading it."""
    try:
        return data_set(folder, download=False, **part)
    except (RuntimeError, OSError):
        raise ValueError(
            f"{folder / inside} is missing, incomplete or changed; it must be the folder that torchvision's "
            f"{data_set.__name__} makes"
        ) from None


READERS: Mapping[str, Callable[[Path], Dataset]] = {
    "flowers17": _flowers17,
    "cub50": _cub50,
    "cifar100": _cifar100,
    "flowers102": _flowers102,
    "pets": _pets,
    "imagefolder": _imagefolder,
}
