"""Data sets on disk -> pictures with labels and a split. Nothing is downloaded unless the user asks for it.

Each reader takes the folder given by --data and raises ValueError, saying what it should hold, when it does not.
"""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from jpegdl.pairs.pictures import Picture
from jpegdl.training.data import Dataset, to_examples
from jpegdl.training.flowers17 import flowers17
from jpegdl.training.folders import imagefolder, imagenet, imagenette, official_parts
from jpegdl.training.packs import cub_files, dogs_lists, numbered_lines
from jpegdl.training.torchvision_sets import (
    cifar100,
    download_dataset,
    flowers102,
    flowers102_authors,
    flowers102_trainval,
    pets,
)
from jpegdl.training.validation import TENTH, with_validation

_DOGS_COUNTS = {"train": 12000, "test": 8580}


def read_dataset(name: str, folder: Path, *, download: bool = False) -> Dataset:
    """Read the data set `name` from `folder`; with `download`, fetch first what is not there yet.

    Raises ValueError for an unknown name, for one that cannot be downloaded, or naming what the folder should hold
    when it does not.
    """
    if name not in READERS:
        raise ValueError(f"unknown data set {name!r}; this version reads {', '.join(READERS)}")
    if download:
        download_dataset(name, folder)
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a folder; pass the folder of the data set with --data")
    return READERS[name](folder)


def _cub(folder: Path, *, classes: int, title: str) -> Dataset:
    """CUB-200-2011, official split, its first `classes`: the official folder, unpacked; for 50, the two packs too."""
    files = cub_files(folder, classes)
    rows = {name: numbered_lines(files, name) for name in ("classes.txt", "images.txt", "train_test_split.txt")}
    # The label of a picture is its folder's number.
    names = [row[1] for row in rows["classes.txt"][:classes]]
    if len(names) < classes:
        raise ValueError(f"{folder}: classes.txt lists {len(names)} classes, not {classes}; use all of CUB-200-2011")
    label_of = {name: label for label, name in enumerate(names)}
    in_train = {row[0]: row[1] == "1" for row in rows["train_test_split.txt"]}
    parts: dict[bool, list[tuple[Picture, int]]] = {True: [], False: []}
    for number, path in rows["images.txt"]:
        label = label_of.get(path.split("/")[0])
        if label is None:
            continue
        if f"images/{path}" not in files or number not in in_train:
            raise ValueError(f"{folder}: images/{path} is listed in images.txt, but it or its split is missing")
        parts[in_train[number]].append((files[f"images/{path}"], label))
    train, validation = with_validation(to_examples(parts[True]))
    return Dataset(
        title=title,
        source="Wah et al. 2011",
        licence="non-commercial research and education; no picture of it is distributed here",
        split=f"official; {TENTH}",
        class_names=tuple(name.split(".", 1)[1].replace("_", " ") for name in names),
        train=train,
        validation=validation,
        test=to_examples(parts[False]),
    )


def _stanford_dogs(folder: Path) -> Dataset:
    """Stanford Dogs: the official lists with Images/, or the same split as folders train/<class>/ and test/<class>/."""
    lists = dogs_lists(folder)
    if lists is None:
        if not (folder / "train").is_dir():
            raise ValueError(
                f"{folder} holds neither train_list.mat and test_list.mat with Images/ nor train/ and test/ with a "
                "folder for each breed; unpack Stanford Dogs' images.tar and lists.tar there"
            )
        names, everything, test = official_parts(folder, _DOGS_COUNTS, "Stanford Dogs")
    else:
        names = sorted({path.split("/")[0] for paths in lists for path in paths})
        label_of = {name: label for label, name in enumerate(names)}
        everything, test = (
            to_examples((folder / "Images" / path, label_of[path.split("/")[0]]) for path in paths) for paths in lists
        )
    train, validation = with_validation(everything)
    return Dataset(
        title="Stanford Dogs",
        source="Khosla et al. 2011, from ImageNet",
        licence="non-commercial research and education; no picture of it is distributed here",
        split=f"official; {TENTH}",
        class_names=tuple(name.split("-", 1)[-1].replace("_", " ") for name in names),
        train=train,
        validation=validation,
        test=test,
    )


READERS: Mapping[str, Callable[[Path], Dataset]] = {
    "flowers17": flowers17,
    "cub50": partial(_cub, classes=50, title="first 50 classes of CUB-200-2011"),
    "cub200": partial(_cub, classes=200, title="CUB-200-2011"),
    "cifar100": cifar100,
    "flowers102": flowers102,
    "flowers102-authors": flowers102_authors,
    "flowers102-trainval": flowers102_trainval,
    "pets": pets,
    "stanford_dogs": _stanford_dogs,
    "imagenet": imagenet,
    "imagenette": imagenette,
    "imagefolder": imagefolder,
}
