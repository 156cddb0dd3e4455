"""Boxes of CUB: in the order of the test part, from the packs and from the official list, each in its own pixels."""

import io
import tarfile
from pathlib import Path

import pytest

from jpegdl.training.boxes import PixelBox, boxes_of_test

PICTURES = {  # number -> path, is it a training picture
    "1": ("001.Auk/a_1.jpg", "0"),
    "2": ("001.Auk/a_2.jpg", "1"),
    "3": ("002.Finch/f_1.jpg", "0"),
    "4": ("201.Moa/m_1.jpg", "0"),  # beyond the classes
    "5": ("002.Finch/f_2.jpg", "0"),
}
LISTS = {
    "images.txt": "".join(f"{number} {path}\n" for number, (path, _) in PICTURES.items()),
    "train_test_split.txt": "".join(f"{number} {train}\n" for number, (_, train) in PICTURES.items()),
    "classes.txt": "1 001.Auk\n2 002.Finch\n" + "".join(f"{n} {n:03}.X\n" for n in range(3, 201)) + "201 201.Moa\n",
}
OFFICIAL = "".join(f"{number} {number}.5 2.0 30.0 40.0\n" for number in PICTURES)
PACKED = "image,is_train,x,y,width,height\n" + "".join(
    f"{path},{train},{number}.25,1,20,10\n" for number, (path, train) in reversed(PICTURES.items())
)


def official(folder: Path, boxes: str = OFFICIAL) -> Path:
    for name, text in {**LISTS, "bounding_boxes.txt": boxes}.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def packed(folder: Path, boxes: str = PACKED) -> Path:
    for part in ("train", "test"):
        with tarfile.open(folder / f"cub50_{part}.tar", "w") as tar:
            for name, text in LISTS.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(text)
                tar.addfile(entry, io.BytesIO(text.encode()))
    (folder / "cub50_boxes.csv").write_text(boxes, encoding="utf-8")
    return folder


def test_the_official_boxes_come_in_the_order_of_the_test_part(tmp_path):
    assert boxes_of_test("cub200", official(tmp_path)) == [PixelBox(n + 0.5, 2, 30, 40) for n in (1, 3, 5)]


def test_the_packed_boxes_come_in_the_order_of_the_test_part(tmp_path):
    assert boxes_of_test("cub50", packed(tmp_path)) == [PixelBox(n + 0.25, 1, 20, 10) for n in (1, 3, 5)]


def test_a_missing_or_broken_box_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"f_2\.jpg has no box, with 0 others"):
        boxes_of_test("cub200", official(tmp_path, OFFICIAL.replace("5 5.5", "6 5.5")))
    with pytest.raises(ValueError, match=r"bounding_boxes.txt holds a box that is not four numbers: 3\.5 2\.0 x 40\.0"):
        boxes_of_test("cub200", official(tmp_path, OFFICIAL.replace("3 3.5 2.0 30.0", "3 3.5 2.0 x")))
    with pytest.raises(ValueError, match="pets has no boxes that this version reads"):
        boxes_of_test("pets", tmp_path)
