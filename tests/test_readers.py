"""Readers of data sets, on generated miniatures of each layout: every picture's colour tells its class."""

import hashlib
import io
import pickle
import tarfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat
from torchvision.datasets import CIFAR100, Flowers102

from jpegdl.training.data import Dataset, Examples, hold_out, open_picture
from jpegdl.training.readers import READERS, read_dataset
from tests.tiny import colour_of, number_of, write_flowers17


def save_picture(path: Path, number: int, size: tuple[int, int] = (10, 8)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour_of(number)).save(path, quality=95)


def pack(folder: Path, archive: Path, prefix: str = "") -> None:
    """Everything in `folder` as a tar archive, in no useful order."""
    with tarfile.open(archive, "w") as tar:
        for path in sorted(folder.rglob("*"), key=lambda path: hashlib.md5(path.name.encode()).digest()):
            tar.add(path, prefix + path.relative_to(folder).as_posix(), recursive=False)


def parts(dataset: Dataset) -> dict[str, Examples]:
    return {"train": dataset.train, "validation": dataset.validation, "test": dataset.test}


def seen_numbers(examples: Examples) -> list[int]:
    return [number_of(open_picture(picture)) for picture in examples.pictures]


def contents(examples: Examples) -> list[tuple[bytes, int]]:
    """Decoded pictures and labels, for comparing two layouts of the same data."""
    return [
        (open_picture(picture).tobytes(), label)
        for picture, label in zip(examples.pictures, examples.labels, strict=True)
    ]


def assert_parts_are(dataset: Dataset, train: dict[int, int], validation: dict[int, int], test: dict[int, int]) -> None:
    """Pictures of each class in each part, and every picture's colour is its label's."""
    expected = {"train": train, "validation": validation, "test": test}
    for name, examples in parts(dataset).items():
        assert Counter(examples.labels) == expected[name], name
        assert seen_numbers(examples) == list(examples.labels), name


def each(classes: int, count: int) -> dict[int, int]:
    return dict.fromkeys(range(classes), count)


# Flowers-17


@pytest.fixture(scope="module")
def flowers17(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "flowers17"
    write_flowers17(folder, 8)
    return folder


def test_flowers17_is_split_54_6_20_with_labels_by_folder_number(flowers17):
    dataset = read_dataset("flowers17", flowers17)
    assert_parts_are(dataset, each(17, 54), each(17, 6), each(17, 20))
    assert dataset.class_names[:2] == ("flower16", "flower15")


def test_flowers17_in_a_tar_is_the_same_data_set_in_the_same_order(flowers17, tmp_path):
    pack(flowers17, tmp_path / "flowers17.tar", "./")
    packed, unpacked = read_dataset("flowers17", tmp_path), read_dataset("flowers17", flowers17)
    assert packed.class_names == unpacked.class_names
    for name, examples in parts(packed).items():
        assert contents(examples) == contents(parts(unpacked)[name])


def test_no_picture_is_in_two_parts(flowers17):
    dataset = read_dataset("flowers17", flowers17)
    every = [picture for examples in parts(dataset).values() for picture in examples.pictures]
    assert len(set(every)) == len(every) == 1360


# First 50 classes of CUB-200-2011

CUB_NAMES = [f"{number + 1:03}.{chr(122 - number % 26)}_Bird_{number}" for number in range(51)]


def write_cub(root: Path, classes: int) -> None:
    """Of each class 4 training and 2 test pictures in mixed order; lists in the official form."""
    images: list[str] = []
    split: list[str] = []
    for number, name in enumerate(CUB_NAMES[:classes]):
        for index in range(6):
            images.append(f"{len(images) + 1} {name}/{name}_{index}.jpg")
            split.append(f"{len(images)} {int(index % 3 != 1)}")
            save_picture(root / "images" / name / f"{name}_{index}.jpg", number)
    (root / "images.txt").write_text("\n".join(images) + "\n")
    # The packs' split file goes on after the last picture.
    (root / "train_test_split.txt").write_text("\n".join([*split, "9001 1"]) + "\n")
    (root / "classes.txt").write_text("".join(f"{n + 1} {name}\n" for n, name in enumerate(CUB_NAMES[:classes])))


def write_cub_packs(folder: Path) -> None:
    write_cub(folder / "all", 50)
    split = dict(line.split() for line in (folder / "all/train_test_split.txt").read_text().splitlines())
    for part, wanted in (("train", "1"), ("test", "0")):
        with tarfile.open(folder / f"cub50_{part}.tar", "w") as tar:
            for line in reversed((folder / "all/images.txt").read_text().splitlines()):
                number, path = line.split()
                if split[number] == wanted:
                    tar.add(folder / "all/images" / path, f"images/{path}")
            for name in ("images.txt", "train_test_split.txt", "classes.txt"):
                tar.add(folder / "all" / name, name)


@pytest.mark.parametrize("layout", ["packs", "CUB_200_2011 inside", "the folder itself"])
def test_cub50_has_the_official_split_and_a_tenth_of_train_as_validation(tmp_path, layout):
    if layout == "packs":
        write_cub_packs(tmp_path)
    else:
        write_cub(tmp_path / "CUB_200_2011" if "inside" in layout else tmp_path, 51)
    dataset = read_dataset("cub50", tmp_path)
    assert_parts_are(dataset, each(50, 3), each(50, 1), each(50, 2))
    assert dataset.class_names[:2] == ("z Bird 0", "y Bird 1")
    assert len(dataset.class_names) == 50
    assert dataset.title == "first 50 classes of CUB-200-2011"


def test_cub50_packed_and_unpacked_are_the_same_data_set_in_the_same_order(tmp_path):
    write_cub_packs(tmp_path)
    packed, unpacked = read_dataset("cub50", tmp_path), read_dataset("cub50", tmp_path / "all")
    for name, examples in parts(packed).items():
        assert contents(examples) == contents(parts(unpacked)[name])


# CIFAR-100

CIFAR_NAMES = [f"class_{number:02}" for number in range(100)]


def cifar_facts(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels and test flags: of each class every fifth picture is a test picture."""
    position = np.arange(count)
    return (position * 37) % 100, (position // 100) % 5 == 1


def cifar_picture(position: int, label: int) -> np.ndarray:
    """The class's colour, with the position in one corner pixel: a lossless format keeps it."""
    picture = np.full((32, 32, 3), colour_of(label), dtype=np.uint8)
    picture[3, 4] = position // 256, position % 256, 7
    return picture


def write_cifar_packs(folder: Path) -> None:
    labels, is_test = cifar_facts(1000)
    for part, start in ((1, 0), (2, 600)):
        stop = 600 if part == 1 else 1000
        inner = folder / f"part{part}"
        inner.mkdir()
        for sheet, first in enumerate(range(start, stop, 100)):
            rows = [
                np.concatenate(
                    [cifar_picture(first + 10 * row + k, labels[first + 10 * row + k]) for k in range(10)], 1
                )
                for row in range(10)
            ]
            Image.fromarray(np.concatenate(rows)).save(inner / f"s{sheet:03}.webp", lossless=True)
        y, tested = (values[start:stop].astype(np.uint8) for values in (labels, is_test))
        np.savez(inner / "labels.npz", classes=np.array(CIFAR_NAMES), y=y, is_test=tested)
        pack(inner, folder / f"cifar100_part{part}.tar")


def write_cifar_folder(folder: Path, monkeypatch: Any) -> None:
    """torchvision's layout, with its list of checksums for these files."""
    labels, is_test = cifar_facts(1000)
    inner = folder / "cifar-100-python"
    inner.mkdir()
    for name, chosen in (("train", ~is_test), ("test", is_test)):
        positions = np.flatnonzero(chosen)
        pictures = np.stack([cifar_picture(int(position), labels[position]) for position in positions])
        rows = pictures.transpose(0, 3, 1, 2).reshape(len(positions), -1)
        (inner / name).write_bytes(pickle.dumps({"data": rows, "fine_labels": labels[positions].tolist()}))
        monkeypatch.setattr(CIFAR100, f"{name}_list", [[name, hashlib.md5((inner / name).read_bytes()).hexdigest()]])
    (inner / "meta").write_bytes(pickle.dumps({"fine_label_names": CIFAR_NAMES}))
    meta = CIFAR100.meta | {"md5": hashlib.md5((inner / "meta").read_bytes()).hexdigest()}
    monkeypatch.setattr(CIFAR100, "meta", meta)


def test_cifar100_packs_give_each_cell_of_each_sheet_its_label_and_part(tmp_path):
    write_cifar_packs(tmp_path)
    dataset = read_dataset("cifar100", tmp_path)
    assert_parts_are(dataset, each(100, 7), each(100, 1), each(100, 2))
    labels, is_test = cifar_facts(1000)
    for name, examples in parts(dataset).items():
        for picture, label in zip(examples.pictures, examples.labels, strict=True):
            assert isinstance(picture, np.ndarray)
            position = 256 * int(picture[3, 4, 0]) + int(picture[3, 4, 1])
            assert np.array_equal(picture, cifar_picture(position, label))
            assert labels[position] == label
            assert is_test[position] == (name == "test")
    assert dataset.class_names[3] == "class 03"


def test_cifar100_in_torchvisions_layout_is_the_same_data_set(tmp_path, monkeypatch):
    write_cifar_packs(tmp_path)
    packed = read_dataset("cifar100", tmp_path)
    for archive in tmp_path.glob("*.tar"):
        archive.unlink()
    write_cifar_folder(tmp_path, monkeypatch)
    unpacked = read_dataset("cifar100", tmp_path)
    assert unpacked.class_names == packed.class_names
    for name, examples in parts(packed).items():
        assert contents(examples) == contents(parts(unpacked)[name])


# torchvision's folders


def write_flowers102(folder: Path, monkeypatch: Any) -> None:
    """12 pictures of classes 1, 2, 3 (labels 0, 1, 2): 3 in train, 3 in valid, 6 in test, in mixed order."""
    inner = folder / "flowers-102"
    labels = np.arange(12) % 3 + 1
    for index, label in enumerate(labels, 1):
        save_picture(inner / "jpg" / f"image_{index:05}.jpg", int(label) - 1)
    savemat(inner / "imagelabels.mat", {"labels": labels})
    savemat(inner / "setid.mat", {"trnid": [5, 6, 4], "valid": [1, 2, 3], "tstid": [7, 12, 8, 9, 10, 11]})
    checksums = {
        key: (name, hashlib.md5((inner / name).read_bytes()).hexdigest())
        for key, name in (("label", "imagelabels.mat"), ("setid", "setid.mat"))
    }
    monkeypatch.setattr(Flowers102, "_file_dict", Flowers102._file_dict | checksums)


def test_flowers102_has_its_three_official_parts(tmp_path, monkeypatch):
    write_flowers102(tmp_path, monkeypatch)
    dataset = read_dataset("flowers102", tmp_path)
    assert_parts_are(dataset, each(3, 1), each(3, 1), each(3, 2))
    assert len(dataset.class_names) == 102
    assert dataset.class_names[0] == "pink primrose"


def write_pets(folder: Path) -> None:
    inner = folder / "oxford-iiit-pet"
    for part, count in (("trainval", 4), ("test", 2)):
        lines = []
        for index in range(count):
            for label, name in ((2, "great_dane"), (1, "Abyssinian")):
                lines.append(f"{name}_{part}{index} {label} 1 1")
                save_picture(inner / "images" / f"{name}_{part}{index}.jpg", label - 1)
        (inner / "annotations").mkdir(exist_ok=True)
        (inner / "annotations" / f"{part}.txt").write_text("\n".join(lines) + "\n")


def test_pets_has_the_official_test_part_and_a_tenth_of_trainval_as_validation(tmp_path):
    write_pets(tmp_path)
    dataset = read_dataset("pets", tmp_path)
    assert_parts_are(dataset, each(2, 3), each(2, 1), each(2, 2))
    assert dataset.class_names == ("Abyssinian", "Great Dane")


# Pictures in folders


def write_folders(folder: Path, counts: dict[str, int], classes: int = 3) -> None:
    for part, count in counts.items():
        for number in range(classes):
            for index in range(count):
                suffix = (".png", ".JPG", ".webp")[index % 3]
                save_picture(folder / part / f"kind {number}" / f"{index}{suffix}", number)
            (folder / part / f"kind {number}" / "notes.txt").write_text("not a picture")


@pytest.mark.parametrize("other", ["test", "val"])
def test_imagefolder_takes_test_or_val_as_test_and_validates_on_a_tenth_of_train(tmp_path, other):
    write_folders(tmp_path / "toys", {"train": 20, other: 3})
    dataset = read_dataset("imagefolder", tmp_path / "toys")
    assert_parts_are(dataset, each(3, 18), each(3, 2), each(3, 3))
    assert dataset.class_names == ("kind 0", "kind 1", "kind 2")
    assert dataset.title == "toys"


def test_imagefolder_with_all_three_folders_validates_on_val(tmp_path):
    write_folders(tmp_path, {"train": 4, "val": 2, "test": 3})
    assert_parts_are(read_dataset("imagefolder", tmp_path), each(3, 4), each(3, 2), each(3, 3))


# What is refused


def folders_without(path: str) -> Callable[[Path, Any], None]:
    def make(folder: Path, _: Any) -> None:
        write_folders(folder, {"train": 2, "test": 1})
        for file in sorted((folder / path).rglob("*"), reverse=True):
            file.rmdir() if file.is_dir() else file.unlink()
        (folder / path).rmdir()

    return make


def flowers_without_one(folder: Path, _: Any) -> None:
    write_flowers17(folder, 1)
    next(folder.glob("*/*.jpg")).unlink()


def cub_without(path: str) -> Callable[[Path, Any], None]:
    def make(folder: Path, _: Any) -> None:
        write_cub(folder, 50)
        (folder / path).unlink()

    return make


def cut_tar(folder: Path, _: Any) -> None:
    write_cub_packs(folder)
    file = folder / "cub50_test.tar"
    file.write_bytes(file.read_bytes()[: 512 * 9 + 100])


def cifar_one_label_short(folder: Path, _: Any) -> None:
    write_cifar_packs(folder)
    (folder / "part2" / "s003.webp").unlink()
    pack(folder / "part2", folder / "cifar100_part2.tar")


def cifar_without_labels(folder: Path, _: Any) -> None:
    write_cifar_packs(folder)
    (folder / "part1" / "labels.npz").unlink()
    pack(folder / "part1", folder / "cifar100_part1.tar")


def cifar_changed(folder: Path, monkeypatch: Any) -> None:
    write_cifar_folder(folder, monkeypatch)
    (folder / "cifar-100-python" / "train").write_bytes(b"changed")


def flowers102_without_a_picture(folder: Path, monkeypatch: Any) -> None:
    write_flowers102(folder, monkeypatch)
    (folder / "flowers-102/jpg/image_00009.jpg").unlink()


def pets_without_a_list(folder: Path, _: Any) -> None:
    write_pets(folder)
    (folder / "oxford-iiit-pet/annotations/test.txt").unlink()


def one_picture_a_class(folder: Path, _: Any) -> None:
    write_folders(folder, {"train": 1, "test": 1})


def one_class(folder: Path, _: Any) -> None:
    write_folders(folder, {"train": 2, "test": 2}, classes=1)


def nothing(folder: Path, _: Any) -> None:
    folder.mkdir(exist_ok=True)


REFUSALS: dict[str, tuple[str, Callable[[Path, Any], None], str]] = {
    "flowers17, empty": ("flowers17", nothing, "0 pictures in 0 folders; Flowers-17 has 1360 in 17 folders"),
    "flowers17, incomplete": ("flowers17", flowers_without_one, "1359 pictures in 17 folders"),
    "cub50, empty": ("cub50", nothing, "neither cub50_train.tar and cub50_test.tar nor CUB_200_2011"),
    "cub50, no classes": ("cub50", cub_without("classes.txt"), "classes.txt is missing beside images/"),
    "cub50, no split": ("cub50", cub_without("train_test_split.txt"), "train_test_split.txt is missing beside images/"),
    "cub50, a picture gone": (
        "cub50",
        cub_without(f"images/{CUB_NAMES[7]}/{CUB_NAMES[7]}_2.jpg"),
        f"images/{CUB_NAMES[7]}/{CUB_NAMES[7]}_2.jpg is listed",
    ),
    "cub50, cut tar": ("cub50", cut_tar, "cub50_test.tar is not a complete tar file; copy it again"),
    "cifar100, empty": ("cifar100", nothing, "neither cifar100_part1.tar and cifar100_part2.tar nor torchvision's"),
    "cifar100, a sheet gone": ("cifar100", cifar_one_label_short, "part2.tar has 300 pictures and 400 labels"),
    "cifar100, no labels": ("cifar100", cifar_without_labels, "part1.tar has no labels.npz"),
    "cifar100, changed": ("cifar100", cifar_changed, "cifar-100-python is missing, incomplete or changed.*CIFAR100"),
    "flowers102, empty": ("flowers102", nothing, "flowers-102 is missing, incomplete or changed.*Flowers102"),
    "flowers102, a picture gone": ("flowers102", flowers102_without_a_picture, "image_00009.jpg is missing"),
    "pets, empty": ("pets", nothing, "oxford-iiit-pet is missing, incomplete or changed.*OxfordIIITPet"),
    "pets, no list": ("pets", pets_without_a_list, "oxford-iiit-pet is missing, incomplete or changed"),
    "folders, empty": ("imagefolder", nothing, "must hold train/<class>/ and test/<class>/ or val/<class>/"),
    "folders, no train": ("imagefolder", folders_without("train"), "must hold train/<class>/ and"),
    "folders, no test": ("imagefolder", folders_without("test"), "must hold train/<class>/ and"),
    "folders, a class gone": ("imagefolder", folders_without("test/kind 1"), "classes of train/.*check kind 1"),
    "folders, one picture": ("imagefolder", one_picture_a_class, "at least two training pictures"),
    "folders, one class": ("imagefolder", one_class, "at least two, all with pictures; check kind 0"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_an_incomplete_data_set_is_refused_saying_what_is_missing(tmp_path, monkeypatch, case):
    name, make, sentence = REFUSALS[case]
    make(tmp_path, monkeypatch)
    with pytest.raises(ValueError, match=sentence):
        read_dataset(name, tmp_path)


def test_an_unknown_data_set_is_refused_naming_the_known_ones(tmp_path):
    with pytest.raises(ValueError, match="unknown data set 'mnist'; this version reads flowers17, cub50"):
        read_dataset("mnist", tmp_path)


@pytest.mark.parametrize("name", READERS)
def test_a_folder_that_is_not_there_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match="nowhere is not a folder; pass the folder of the data set with --data"):
        read_dataset(name, tmp_path / "nowhere")


# Splitting and decoding


def test_hold_out_draws_the_same_pictures_for_a_seed_and_others_for_another():
    examples = Examples(tuple(bytes([n]) for n in range(60)), tuple(n % 3 for n in range(60)))
    rest, drawn = hold_out(examples, lambda count: count // 4, 5)
    assert Counter(drawn.labels) == {0: 5, 1: 5, 2: 5}
    assert sorted(rest.pictures + drawn.pictures) == sorted(examples.pictures)
    assert list(rest.pictures) == sorted(rest.pictures)  # the order of the whole is kept
    assert hold_out(examples, lambda count: count // 4, 5) == (rest, drawn)
    assert hold_out(examples, lambda count: count // 4, 6) != (rest, drawn)


def test_a_picture_opens_alike_from_a_path_its_bytes_and_its_pixels(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    file = io.BytesIO((tmp_path / "a.png").read_bytes())
    for item in (tmp_path / "a.png", file.getvalue(), pixels):
        assert np.array_equal(np.asarray(open_picture(item)), pixels)
    Image.fromarray(pixels).convert("L").save(tmp_path / "grey.png")
    assert open_picture(tmp_path / "grey.png").mode == "RGB"
