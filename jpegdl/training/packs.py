"""Files of public data sets: tar archives and official lists, read into memory, nothing unpacked to disk."""

import io
import tarfile
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from jpegdl.pairs.downloads import instead_of_a_file
from jpegdl.pairs.pictures import Member, Picture, read_picture
from jpegdl.training.data import Examples, to_examples
from jpegdl.training.names import is_data, is_picture, pictures_in

_SHEET_SIDE, _CIFAR_SIDE = 10, 32  # pictures along a sheet of the CIFAR-100 packs; pixels along a picture


def unpacked(archive: Path) -> dict[str, Member]:
    """Name -> every file in a tar archive, packed or not, that is data. Nothing is written to disk."""
    with archive.open("rb") as file:
        instead = instead_of_a_file(file.read(512))
    if instead:
        raise ValueError(f"{archive} {instead}")
    try:
        with tarfile.open(archive) as tar:
            members = [(member.name.removeprefix("./"), tar.extractfile(member)) for member in tar if member.isfile()]
            return {name: Member(f"{archive}: {name}", file.read()) for name, file in members if file and is_data(name)}
    except (tarfile.TarError, OSError, EOFError, zlib.error):
        raise ValueError(f"{archive} is not a complete tar file; copy it again") from None


def cub_files(folder: Path, classes: int) -> dict[str, Path | Member]:
    """Path inside CUB_200_2011 -> file, from that folder in `folder`, `folder` itself or, for 50 classes, two packs."""
    packs = [folder / f"cub{classes}_{part}.tar" for part in ("train", "test")]
    if classes == 50 and all(pack.is_file() for pack in packs):
        return {name: data for pack in packs for name, data in unpacked(pack).items()}
    root = folder / "CUB_200_2011" if (folder / "CUB_200_2011").is_dir() else folder
    if not (root / "images.txt").is_file():
        packed = "neither cub50_train.tar and cub50_test.tar nor" if classes == 50 else "no"
        raise ValueError(
            f"{folder} holds {packed} CUB_200_2011 (images/, images.txt, train_test_split.txt, classes.txt)"
        )
    return {**{path.name: path for path in root.glob("*.txt")}, **dict(pictures_in(root, "images/*/*"))}


def numbered_lines(files: Mapping[str, Path | Member], name: str) -> list[list[str]]:
    """The lines of one of CUB's lists, each split into number and value."""
    if name not in files:
        raise ValueError(f"{name} is missing beside images/; CUB-200-2011 comes with it")
    content = files[name]
    text = content.data.decode() if isinstance(content, Member) else content.read_text(encoding="utf-8")
    rows = [line.split(maxsplit=1) for line in text.splitlines() if line.strip()]
    if any(len(row) != 2 for row in rows):
        raise ValueError(f"{name} has a line without number and value; unpack CUB-200-2011 again")
    return rows


def dogs_lists(folder: Path) -> list[list[str]] | None:
    """Paths inside Images/ of Stanford Dogs' training and test parts, from train_list.mat and test_list.mat.

    The lists stand in `folder` or in `folder`/lists; None if there are none.
    """
    for place in (folder, folder / "lists"):
        files = [place / f"{part}_list.mat" for part in ("train", "test")]
        if all(file.is_file() for file in files):
            return [_dogs_list(file) for file in files]
    return None


def _dogs_list(file: Path) -> list[str]:
    from scipy.io.matlab import MatReadError, loadmat  # here, since only this data set needs it

    try:
        return [str(row[0].item()) for row in loadmat(file)["file_list"]]
    except (MatReadError, OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, zlib.error):
        raise ValueError(f"{file} is not Stanford Dogs' list of pictures; unpack lists.tar again") from None


def cifar_packs(packs: Iterable[Path]) -> tuple[tuple[str, ...], Examples, Examples]:
    """-> class names, train and test: sheets of 10 x 10 pictures in name order, labels beside them in labels.npz."""
    names: tuple[str, ...] = ()
    parts: dict[bool, list[tuple[Picture, int]]] = {True: [], False: []}
    for pack in packs:
        files = unpacked(pack)
        if "labels.npz" not in files:
            raise ValueError(f"{pack} has no labels.npz; copy the file again")
        try:
            with np.load(io.BytesIO(files["labels.npz"].data)) as labels:
                names = tuple(labels["classes"].tolist())
                facts = list(zip(labels["y"].tolist(), labels["is_test"].tolist(), strict=True))
        except Exception:  # zipfile, zlib and NumPy raise their own kinds
            raise ValueError(f"{pack}: labels.npz is damaged; copy the file again") from None
        sheets = [_sheet(files[name]) for name in sorted(files) if is_picture(name)]
        pictures = [picture for sheet in sheets for picture in sheet]
        if len(pictures) != len(facts):
            raise ValueError(f"{pack} has {len(pictures)} pictures and {len(facts)} labels; copy the file again")
        for picture, (label, is_test) in zip(pictures, facts, strict=True):
            parts[not is_test].append((picture, label))
    return names, to_examples(parts[True]), to_examples(parts[False])


def _sheet(file: Member) -> NDArray[np.uint8]:
    """A sheet's file -> its pictures in reading order, (100, 32, 32, 3)."""
    pixels = np.asarray(read_picture(file).image)
    side = _SHEET_SIDE * _CIFAR_SIDE
    if pixels.shape != (side, side, 3):
        raise ValueError(
            f"{file.name} is {pixels.shape[1]}x{pixels.shape[0]} pixels, not {side}x{side}; copy the file again"
        )
    grid = (_SHEET_SIDE, _CIFAR_SIDE, _SHEET_SIDE, _CIFAR_SIDE, 3)
    return pixels.reshape(grid).swapaxes(1, 2).reshape(-1, _CIFAR_SIDE, _CIFAR_SIDE, 3)
