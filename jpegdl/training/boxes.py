"""Where the object is: CUB-200-2011's bounding boxes, in the order of the test part that the reader gives."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from jpegdl.training.packs import cub_files, numbered_lines

OFFICIAL = "bounding_boxes.txt"  # of CUB-200-2011: number, x, y, width, height
PACKED = "cub50_boxes.csv"  # beside the two packs: image, is_train, x, y, width, height


class PixelBox(NamedTuple):
    """In pixels of the picture's own file."""

    left: float
    top: float
    width: float
    height: float


def boxes_of_test(dataset: str, folder: Path) -> list[PixelBox]:
    """The box of each test picture of `cub50` or `cub200`, read as `read_dataset` reads the pictures.

    Raises ValueError for other data, or naming what is missing.
    """
    if dataset not in ("cub50", "cub200"):
        raise ValueError(f"{dataset} has no boxes that this version reads; pairs trained on cub50 and cub200 have some")
    classes = 50 if dataset == "cub50" else 200
    files = cub_files(folder, classes)
    splits = dict(numbered_lines(files, "train_test_split.txt"))
    known = {name for _, name in numbered_lines(files, "classes.txt")[:classes]}
    wanted = [
        (number, path)
        for number, path in numbered_lines(files, "images.txt")
        if path.split("/")[0] in known and splits.get(number) == "0"
    ]
    if (folder / PACKED).is_file():
        boxes = dict(_packed(folder / PACKED))
        keys = {path: path for _, path in wanted}
    else:
        boxes = {number: _box(value.split(), OFFICIAL) for number, value in numbered_lines(files, OFFICIAL)}
        keys = {path: number for number, path in wanted}
    missing = [path for path, key in keys.items() if key not in boxes]
    if missing:
        raise ValueError(f"{folder}: {missing[0]} has no box, with {len(missing) - 1} others; copy the list again")
    return [boxes[key] for key in keys.values()]


def _packed(file: Path) -> Iterator[tuple[str, PixelBox]]:
    with file.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            yield row["image"], _box([row[name] for name in ("x", "y", "width", "height")], file.name)


def _box(values: list[str], file: str) -> PixelBox:
    try:
        return PixelBox(*map(float, values))
    except (TypeError, ValueError):
        raise ValueError(f"{file} holds a box that is not four numbers: {' '.join(map(str, values))}") from None
