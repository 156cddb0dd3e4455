"""Pictures in folders, <part>/<class>/<picture>: any such data set, ImageNet and Imagenette.

The folders are listed; no picture is opened. Class numbers follow the names of the class folders in sorted order.
"""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from jpegdl.training.data import Dataset, Examples
from jpegdl.training.names import is_data, is_picture
from jpegdl.training.validation import SPLIT_SEED, TENTH, with_validation

_IMAGENETTE_COUNTS = {"train": 9469, "val": 3925}
_IMAGENETTE_FOLDERS = ("imagenette2", "imagenette2-320", "imagenette2-160")  # inside its archives


def imagefolder(folder: Path) -> Dataset:
    """Any pictures: train/<class>/ and test/<class>/ or val/<class>/; with all three, val/ is the validation part."""
    found = {part: _class_folders(folder / part) for part in ("train", "val", "test") if (folder / part).is_dir()}
    present = {part: classes for part, classes in found.items() if classes}
    if "train" not in present or len(present) < 2:
        raise ValueError(f"{folder} must hold train/<class>/ and test/<class>/ or val/<class>/ with pictures")
    names, read = _labelled(folder, present)
    if len(present) == 3:
        train, validation, split = read["train"], read["val"], "the folders train, val and test"
    else:
        train, validation = with_validation(read["train"])
        split = f"the folders {' and '.join(present)}; {TENTH}"
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


def imagenet(folder: Path) -> Dataset:
    """ImageNet-1K (ILSVRC 2012): train/<wnid>/ and val/<wnid>/ of all 1,000 synsets; val/ is the test part."""
    if not all((folder / part).is_dir() for part in ("train", "val")):
        raise ValueError(f"{folder} must hold train/<wnid>/ and val/<wnid>/ with ImageNet's pictures")
    names = synset_names()
    names_found, read = class_parts(folder, ("train", "val"))
    odd = sorted(set(names_found) ^ set(names))
    if odd:
        raise ValueError(
            f"{folder} must hold one folder for each of ImageNet's 1000 synsets in train/ and in val/; "
            f"{len(odd)} differ, check {odd[0]}"
        )
    train, validation = with_validation(read["train"], one_in=100)
    return Dataset(
        title="ImageNet-1K",
        source="Russakovsky et al. 2015, ILSVRC 2012",
        licence="non-commercial research and education; no picture of it is distributed here",
        split="official validation part as the test part; "
        f"validation: a hundredth of each class of train, at least one, drawn by seed {SPLIT_SEED}",
        class_names=tuple(names.values()),
        train=train,
        validation=validation,
        test=read["val"],
    )


def imagenette(folder: Path) -> Dataset:
    """Imagenette (its second version): train/<class>/ and val/<class>/, here or in its archive's folder."""
    roots = [root for root in (folder, *(folder / name for name in _IMAGENETTE_FOLDERS)) if (root / "train").is_dir()]
    if not roots:
        raise ValueError(f"{folder} must hold Imagenette's train/ and val/, or a folder imagenette2 with them")
    names, train, test = official_parts(roots[0], _IMAGENETTE_COUNTS, "Imagenette")
    train, validation = with_validation(train)
    return Dataset(
        title="Imagenette",
        source="fast.ai 2019, ten classes of ImageNet (Russakovsky et al. 2015)",
        licence="non-commercial research and education; no picture of it is distributed here",
        split=f"official; {TENTH}",
        class_names=tuple(synset_names().get(name, name.replace("_", " ")) for name in names),
        train=train,
        validation=validation,
        test=test,
    )


def official_parts(folder: Path, counts: Mapping[str, int], title: str) -> tuple[list[str], Examples, Examples]:
    """-> class names, training and test examples of two parts that must have these numbers of pictures.

    Without these numbers it is another edition or another split, and its results would not compare.
    """
    missing = [part for part in counts if not (folder / part).is_dir()]
    if missing:
        raise ValueError(
            f"{folder / missing[0]} is missing; {title} has {' and '.join(counts)}, each with class folders"
        )
    names, read = class_parts(folder, list(counts))
    for part, expected in counts.items():
        if len(read[part]) != expected:
            raise ValueError(
                f"{folder / part} holds {len(read[part])} pictures, {title} has {expected} there; "
                "use the official split, or read the folder as imagefolder"
            )
    train, test = (read[part] for part in counts)
    return names, train, test


def class_parts(folder: Path, parts: Sequence[str]) -> tuple[list[str], dict[str, Examples]]:
    """-> sorted class names, and the examples of each part, class by class. All parts have the same classes."""
    return _labelled(folder, {part: _class_folders(folder / part) for part in parts})


def _labelled(folder: Path, found: Mapping[str, Mapping[str, list[Path]]]) -> tuple[list[str], dict[str, Examples]]:
    """As `class_parts`, from the pictures of each class of each part."""
    names = sorted(found["train"])
    for part, classes in found.items():
        odd = sorted(set(classes) ^ set(names))
        if odd or len(names) < 2:
            shown = [*(odd or names)[:5], *(["..."] if len(odd) > 5 else [])]
            raise ValueError(
                f"{folder / part} must hold the classes of train/, at least two, all with pictures; "
                f"check {', '.join(shown)}"
            )
    read = {}
    for part, classes in found.items():
        labelled = [(path, label) for label, name in enumerate(names) for path in classes[name]]
        read[part] = Examples(tuple(path for path, _ in labelled), tuple(label for _, label in labelled))
    return names, read


@cache
def synset_names() -> dict[str, str]:
    """The 1,000 synsets of ImageNet-1K in class order: wnid -> first name, with the wnid where two share it."""
    from timm.data.imagenet_info import (
        ImageNetInfo,  # here, since importing timm takes seconds and few data sets need it
    )

    info = ImageNetInfo()
    short = {wnid: info.label_name_to_description(wnid).split(", ")[0] for wnid in info.label_names()}
    times = Counter(short.values())
    return {wnid: name if times[name] == 1 else f"{name} ({wnid})" for wnid, name in short.items()}


def _class_folders(folder: Path) -> dict[str, list[Path]]:
    """Name of each folder inside that holds pictures -> its pictures in name order."""
    inner = [entry for entry in os.scandir(folder) if entry.is_dir() and is_data(entry.name)]
    found = {entry.name: _pictures(entry.path) for entry in inner}
    return {name: paths for name, paths in found.items() if paths}


def _pictures(folder: str) -> list[Path]:
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries if is_picture(entry.name) and entry.is_file())
    return [Path(folder, name) for name in names]
