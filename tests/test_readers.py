"""Readers of data sets, on generated miniatures of each layout: every picture's colour tells its class."""

import hashlib
import io
import pickle
import shutil
import tarfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat
from torchvision.datasets import CIFAR100, Flowers102, Imagenette, OxfordIIITPet
from torchvision.models import ResNet18_Weights

from jpegdl.pairs.pictures import Unreadable, read_picture
from jpegdl.training import folders, names, readers
from jpegdl.training.check import refuse_damaged
from jpegdl.training.data import Dataset, Examples, hold_out
from jpegdl.training.folders import synset_names
from jpegdl.training.readers import READERS, read_dataset
from jpegdl.training.torchvision_sets import DOWNLOADS
from jpegdl.training.validation import with_validation
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
    return [number_of(read_picture(picture).image) for picture in examples.pictures]


def contents(examples: Examples) -> list[tuple[bytes, int]]:
    """Decoded pictures and labels, for comparing two layouts of the same data."""
    return [
        (read_picture(picture).image.tobytes(), label)
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

CUB_NAMES = [f"{number + 1:03}.{chr(122 - number % 26)}_Bird_{number}" for number in range(200)]


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


def test_cub200_is_not_read_from_the_packs_of_50_classes_beside_it(tmp_path):
    write_cub_packs(tmp_path)
    with pytest.raises(ValueError, match=r"holds no CUB_200_2011 \(images/.*classes\.txt\)$"):
        read_dataset("cub200", tmp_path)
    write_cub(tmp_path / "CUB_200_2011", 200)
    assert len(read_dataset("cub200", tmp_path).class_names) == 200
    assert len(read_dataset("cub50", tmp_path).class_names) == 50


def test_cub200_has_all_200_classes_in_the_official_split(tmp_path):
    write_cub(tmp_path, 200)
    dataset = read_dataset("cub200", tmp_path)
    for examples, count in ((dataset.train, 3), (dataset.validation, 1), (dataset.test, 2)):
        assert Counter(examples.labels) == each(200, count)
        assert seen_numbers(examples) == [label % 125 for label in examples.labels]  # there are 125 colours
    assert dataset.class_names[199] == "i Bird 199"
    assert dataset.title == "CUB-200-2011"


# Stanford Dogs

DOGS = ("n02085620-Chihuahua", "n02085782-Japanese_spaniel", "n02116738-African_hunting_dog")


def dogs_paths(part: str, count: int) -> list[str]:
    """`count` pictures of each breed, in the mixed order of their numbers."""
    return [f"{name}/{name.split('-')[0]}_{part}{index}.jpg" for index in range(count) for name in reversed(DOGS)]


def write_dogs(folder: Path, lists: str = ".") -> None:
    """The official layout: Images/ and lists of which the field file_list holds the pictures."""
    (folder / lists).mkdir(exist_ok=True)
    for part, count in (("train", 5), ("test", 2)):
        paths = dogs_paths(part, count)
        column = np.empty((len(paths), 1), dtype=object)
        column[:, 0] = paths
        savemat(folder / lists / f"{part}_list.mat", {"file_list": column, "labels": np.ones((len(paths), 1))})
        for path in paths:
            save_picture(folder / "Images" / path, DOGS.index(path.split("/")[0]))


@pytest.mark.parametrize("lists", [".", "lists"])
def test_stanford_dogs_has_the_official_lists_and_a_tenth_of_train_as_validation(tmp_path, lists):
    write_dogs(tmp_path, lists)
    dataset = read_dataset("stanford_dogs", tmp_path)
    assert_parts_are(dataset, each(3, 4), each(3, 1), each(3, 2))
    assert dataset.class_names == ("Chihuahua", "Japanese spaniel", "African hunting dog")
    assert [Path(str(path)).name[10:14] for path in dataset.test.pictures] == ["test"] * 6


def test_stanford_dogs_in_folders_is_the_same_data_set_if_it_has_the_official_counts(tmp_path, monkeypatch):
    write_dogs(tmp_path / "lists")
    for part, count in (("train", 5), ("test", 2)):
        monkeypatch.setitem(readers._DOGS_COUNTS, part, 3 * count)
        for path in dogs_paths(part, count):
            save_picture(tmp_path / "folders" / part / path, DOGS.index(path.split("/")[0]))
    listed, folders = (read_dataset("stanford_dogs", tmp_path / name) for name in ("lists", "folders"))
    assert folders.class_names == listed.class_names
    for name, examples in parts(folders).items():
        assert Counter(contents(examples)) == Counter(contents(parts(listed)[name]))


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


def test_flowers102_as_the_authors_split_it_tests_on_the_official_validation_part(tmp_path, monkeypatch):
    write_flowers102(tmp_path, monkeypatch)
    dataset = read_dataset("flowers102-authors", tmp_path)
    assert_parts_are(dataset, each(3, 1), each(3, 1), each(3, 1))
    assert flower_numbers(dataset.train) == {4, 5, 6}
    assert flower_numbers(dataset.test) == {1, 2, 3}
    assert flower_numbers(dataset.validation) < {7, 8, 9, 10, 11, 12}


def test_flowers102_trainval_trains_on_both_official_parts_but_a_tenth(tmp_path, monkeypatch):
    write_flowers102(tmp_path, monkeypatch)
    dataset = read_dataset("flowers102-trainval", tmp_path)
    assert_parts_are(dataset, each(3, 1), each(3, 1), each(3, 2))
    assert flower_numbers(dataset.train) | flower_numbers(dataset.validation) == {1, 2, 3, 4, 5, 6}
    assert flower_numbers(dataset.test) == {7, 8, 9, 10, 11, 12}


def flower_numbers(examples: Examples) -> set[int]:
    return {int(Path(str(path)).stem.split("_")[1]) for path in examples.pictures}


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


def test_the_copy_of_pets_in_squares_of_512_pixels_is_called_so(tmp_path):
    write_pets(tmp_path)
    assert read_dataset("pets", tmp_path).title == "Oxford-IIIT Pet"
    for picture in (tmp_path / "oxford-iiit-pet" / "images").iterdir():
        Image.new("RGB", (512, 512)).save(picture)
    copied = read_dataset("pets", tmp_path)
    assert copied.title == "Oxford-IIIT Pet, 512 px re-encoded copy"
    assert "squashed to 512 × 512 pixels" in copied.source


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


# ImageNet and Imagenette: files are listed, not opened, so empty ones do

SYNSETS = tuple(synset_names())


def touch(folder: Path, counts: dict[str, int], classes: Sequence[str]) -> None:
    for part, count in counts.items():
        for name in classes:
            inner = folder / part / name
            inner.mkdir(parents=True)
            for index in range(count):
                (inner / f"{index}.JPEG").touch()


def test_imagenet_has_the_standard_class_numbers_and_the_official_validation_part_as_test(tmp_path):
    touch(tmp_path, {"train": 2, "val": 1}, SYNSETS)
    dataset = read_dataset("imagenet", tmp_path)
    assert [Counter(examples.labels) for examples in parts(dataset).values()] == [each(1000, 1)] * 3
    assert dataset.test.pictures[388] == tmp_path / "val" / "n02510455" / "0.JPEG"
    assert dataset.test.labels[388] == 388
    known = ResNet18_Weights.IMAGENET1K_V1.meta["categories"]
    assert sum(ours == theirs for ours, theirs in zip(dataset.class_names, known, strict=True)) > 950
    assert (dataset.class_names[388], dataset.class_names[134]) == ("giant panda", "crane (n02012849)")
    assert len(set(dataset.class_names)) == 1000


def test_a_hundredth_of_imagenets_training_part_validates():
    examples = Examples(tuple(bytes([n]) for n in range(250)) * 2, (0,) * 250 + (1,) * 250)
    rest, validation = with_validation(examples, one_in=100)
    assert (Counter(rest.labels), Counter(validation.labels)) == (each(2, 248), each(2, 2))


@pytest.mark.parametrize("inside", [".", "imagenette2", "imagenette2-320"])
def test_imagenette_with_its_official_counts_has_readable_class_names(tmp_path, monkeypatch, inside):
    write_imagenette(tmp_path / inside, monkeypatch)
    dataset = read_dataset("imagenette", tmp_path)
    assert [Counter(examples.labels) for examples in parts(dataset).values()] == [each(3, 4), each(3, 1), each(3, 2)]
    assert dataset.class_names == ("tench", "French horn", "some name")


def write_imagenette(folder: Path, monkeypatch: Any) -> None:
    monkeypatch.setitem(folders._IMAGENETTE_COUNTS, "train", 15)
    monkeypatch.setitem(folders._IMAGENETTE_COUNTS, "val", 6)
    touch(folder, {"train": 5, "val": 2}, ("n01440764", "n03394916", "some_name"))


# Downloads


def test_a_data_set_is_downloaded_only_when_asked_for(tmp_path, monkeypatch):
    asked: list[Path] = []

    def bring(data_set: OxfordIIITPet) -> None:
        asked.append(tmp_path / "new")
        write_pets(Path(data_set.root))

    monkeypatch.setattr(OxfordIIITPet, "_download", bring)
    with pytest.raises(ValueError, match="new is not a folder"):
        read_dataset("pets", tmp_path / "new")
    (tmp_path / "new").mkdir()
    with pytest.raises(ValueError, match="oxford-iiit-pet is missing"):
        read_dataset("pets", tmp_path / "new")
    assert asked == []
    (tmp_path / "new").rmdir()
    assert_parts_are(read_dataset("pets", tmp_path / "new", download=True), each(2, 3), each(2, 1), each(2, 2))
    assert len(asked) == 1


@pytest.mark.parametrize("name", DOWNLOADS)
def test_a_download_that_fails_is_one_sentence(tmp_path, monkeypatch, name):
    def fail(_: object) -> None:
        raise URLError("no network")

    monkeypatch.setattr(CIFAR100, "download", fail)
    monkeypatch.setattr(Flowers102, "download", fail)
    monkeypatch.setattr(OxfordIIITPet, "_download", fail)
    monkeypatch.setattr(Imagenette, "_download", fail)
    with pytest.raises(ValueError, match=f"{name} could not be downloaded to .*no network.*check network"):
        read_dataset(name, tmp_path / "new", download=True)


def test_what_cannot_be_downloaded_says_so(tmp_path):
    with pytest.raises(
        ValueError, match=r"cub200 cannot be downloaded here, only cifar100, .*pass its folder with --data"
    ):
        read_dataset("cub200", tmp_path, download=True)


# What is no data


def litter(folder: Path) -> None:
    """What systems leave in every folder: hidden files, system files, an archive's resource folder, empty folders."""
    for inner in [folder, *(path for path in folder.rglob("*") if path.is_dir())]:
        for name in (".DS_Store", "._x.jpg", ".hidden.png", "Thumbs.db", "desktop.ini", "thumbs.db"):
            (inner / name).write_bytes(b"not a picture")
        save_picture(inner / ".trash" / "old.jpg", 124)
        save_picture(inner / "__MACOSX" / "x.jpg", 124)
        (inner / "an empty folder").mkdir()


def write_upper(make: Callable[[Path], None]) -> Callable[[Path], None]:
    """The same files with suffixes in upper case."""

    def upper(folder: Path) -> None:
        make(folder)
        for path in [path for path in folder.rglob("*.*") if path.suffix.lower() in names.SUFFIXES]:
            path.rename(path.with_suffix(path.suffix.upper()))

    return upper


LAYOUTS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "flowers17": ("flowers17", lambda folder: write_flowers17(folder, 1)),
    "cub50": ("cub50", lambda folder: write_cub(folder, 50)),
    "stanford_dogs": ("stanford_dogs", write_dogs),
    "imagefolder": ("imagefolder", lambda folder: write_folders(folder, {"train": 4, "val": 2, "test": 3})),
    "pets": ("pets", write_pets),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_systems_leave_behind_and_empty_folders_are_no_data(tmp_path, layout):
    name, make = LAYOUTS[layout]
    for folder in ("clean", "littered"):
        make(tmp_path / folder)
    litter(tmp_path / "littered")
    clean, littered = (read_dataset(name, tmp_path / folder) for folder in ("clean", "littered"))
    assert littered.class_names == clean.class_names
    for part, examples in parts(littered).items():
        assert contents(examples) == contents(parts(clean)[part])


@pytest.mark.parametrize("part", ["val", "test"])
def test_an_empty_part_is_no_part(tmp_path, part):
    write_folders(tmp_path, {"train": 20, {"val": "test", "test": "val"}[part]: 3})
    (tmp_path / part / "kind 0").mkdir(parents=True)
    (tmp_path / part / "kind 0" / ".DS_Store").touch()
    assert_parts_are(read_dataset("imagefolder", tmp_path), each(3, 18), each(3, 2), each(3, 3))


def test_what_systems_leave_behind_is_no_data_in_archives_either(tmp_path):
    write_flowers17(tmp_path / "flowers", 1)
    litter(tmp_path / "flowers")
    pack(tmp_path / "flowers", tmp_path / "flowers17.tar")
    assert Counter(read_dataset("flowers17", tmp_path).test.labels) == each(17, 20)
    with tarfile.open(tmp_path / "flowers17.tar") as tar:
        assert any("__MACOSX" in name for name in tar.getnames())


@pytest.mark.parametrize("layout", ["flowers17", "imagefolder"])
def test_suffixes_count_in_any_case(tmp_path, layout):
    name, make = LAYOUTS[layout]
    make(tmp_path / "lower")
    write_upper(make)(tmp_path / "upper")
    assert any(path.suffix == ".JPG" for path in (tmp_path / "upper").rglob("*"))
    lower, upper = (read_dataset(name, tmp_path / folder) for folder in ("lower", "upper"))
    for part, examples in parts(upper).items():
        assert contents(examples) == contents(parts(lower)[part])


def test_cub_in_upper_case_is_found_as_its_list_writes_it(tmp_path):
    write_upper(lambda folder: write_cub(folder, 50))(tmp_path)
    listed = (tmp_path / "images.txt").read_text().replace(".jpg", ".JPG")
    (tmp_path / "images.txt").write_text(listed)
    assert_parts_are(read_dataset("cub50", tmp_path), each(50, 3), each(50, 1), each(50, 2))


# The official archive of Flowers-17


def official_flowers17(sorted_folder: Path, folder: Path) -> None:
    """All pictures numbered through, class after class, in one folder jpg/, with the archive's own lists."""
    (folder / "jpg").mkdir(parents=True)
    for number, path in enumerate(sorted(sorted_folder.glob("*/*.jpg")), 1):
        (folder / "jpg" / f"image_{number:04}.jpg").write_bytes(path.read_bytes())
    (folder / "jpg" / "files.txt").write_text("image_0001.jpg\n")
    (folder / "jpg" / "files.txt~").write_text("image_0001.jpg\n")


@pytest.mark.parametrize("layout", ["folder with jpg/", "jpg/ itself", "17flowers.tgz"])
def test_the_official_archive_of_flowers17_is_the_same_data_set_with_its_classes_names(flowers17, tmp_path, layout):
    official_flowers17(flowers17, tmp_path / "official")
    folder = tmp_path / "official" / ("jpg" if layout == "jpg/ itself" else ".")
    if layout.endswith(".tgz"):
        with tarfile.open(tmp_path / "17flowers.tgz", "w:gz") as tar:
            tar.add(tmp_path / "official" / "jpg", "jpg")
        folder = tmp_path
    found, known = read_dataset("flowers17", folder), read_dataset("flowers17", flowers17)
    for part, examples in parts(found).items():
        assert contents(examples) == contents(parts(known)[part])
    assert found.class_names[:3] == ("daffodil", "snowdrop", "lily valley")
    assert found.class_names[16] == "pansy"


def test_an_official_archive_without_a_picture_is_refused(flowers17, tmp_path):
    official_flowers17(flowers17, tmp_path)
    (tmp_path / "jpg" / "image_0700.jpg").unlink()
    with pytest.raises(ValueError, match=r"1359 pictures in 1 folders; Flowers-17 has 1360 .* official archive"):
        read_dataset("flowers17", tmp_path)


# Damaged pictures, found before training


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_damaged_picture_is_named_before_training_whichever_part_and_reader(tmp_path, layout):
    name, make = LAYOUTS[layout]
    make(tmp_path)
    for examples in parts(read_dataset(name, tmp_path)).values():
        victim = Path(str(examples.pictures[-1]))
        whole = victim.read_bytes()
        victim.write_bytes(whole[:40])
        with pytest.raises(Unreadable) as caught:
            refuse_damaged(read_dataset(name, tmp_path))
        assert str(caught.value).startswith(f"{victim} cannot be decoded as a picture")
        assert "\n" not in str(caught.value)
        victim.write_bytes(whole)
    refuse_damaged(read_dataset(name, tmp_path))


def test_a_damaged_picture_in_an_archive_is_named_with_the_archive(flowers17, tmp_path):
    shutil.copytree(flowers17, tmp_path / "flowers")
    victim = next((tmp_path / "flowers").glob("*/*.jpg"))
    victim.write_bytes(victim.read_bytes()[:-100])
    pack(tmp_path / "flowers", tmp_path / "flowers17.tar")
    with pytest.raises(Unreadable) as caught:
        refuse_damaged(read_dataset("flowers17", tmp_path))
    inside = f"{victim.parent.name}/{victim.name}"
    assert str(caught.value).startswith(f"{tmp_path / 'flowers17.tar'}: {inside} cannot be decoded as a picture")


def test_of_several_damaged_pictures_the_first_is_named_and_the_others_are_counted(tmp_path):
    write_folders(tmp_path, {"train": 4, "val": 2, "test": 3})
    dataset, heard = read_dataset("imagefolder", tmp_path), []
    for picture in (dataset.test.pictures[0], dataset.train.pictures[5], dataset.train.pictures[7]):
        Path(str(picture)).write_bytes(b"")
    with pytest.raises(Unreadable, match=r"^[^;]*is empty; .*; so are 2 others$") as caught:
        refuse_damaged(dataset, lambda done, of: heard.append((done, of)))
    assert str(dataset.train.pictures[5]) in str(caught.value)
    assert heard == [(done, 27) for done in range(1, 28)]


def test_damaged_lists_are_one_sentence(tmp_path):
    write_cub(tmp_path / "cub", 50)
    (tmp_path / "cub/images.txt").write_text("1\n2 a/b.jpg\n")
    with pytest.raises(ValueError, match=r"images.txt has a line without number and value"):
        read_dataset("cub50", tmp_path / "cub")
    write_pets(tmp_path / "pets")
    (tmp_path / "pets/oxford-iiit-pet/annotations/trainval.txt").write_text("one word\n")
    with pytest.raises(ValueError, match=r"oxford-iiit-pet is missing, incomplete or changed"):
        read_dataset("pets", tmp_path / "pets")
    (tmp_path / "packs").mkdir()
    write_cifar_packs(tmp_path / "packs")
    (tmp_path / "packs/part1/labels.npz").write_bytes(b"PK\x03\x04 half")
    pack(tmp_path / "packs/part1", tmp_path / "packs/cifar100_part1.tar")
    with pytest.raises(ValueError, match=r"cifar100_part1.tar: labels.npz is damaged"):
        read_dataset("cifar100", tmp_path / "packs")


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "flowers17.tar is empty"),
        (b"version https://git-lfs.github.com/spec/v1\n", "flowers17.tar is a Git LFS pointer"),
        (b"<html>not found</html>", "flowers17.tar is a web page"),
        (b"\x1f\x8b\x08\x00 half", "flowers17.tar is not a complete tar file"),
    ],
)
def test_what_people_have_in_place_of_an_archive_is_called_by_its_name(tmp_path, data, sentence):
    (tmp_path / "flowers17.tar").write_bytes(data)
    with pytest.raises(ValueError, match=sentence):
        read_dataset("flowers17", tmp_path)


# What is refused


def folders_without(path: str) -> Callable[[Path, Any], None]:
    def make(folder: Path, _: Any) -> None:
        write_folders(folder, {"train": 2, path.split("/")[0].replace("train", "test"): 1})
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


def cub_of(classes: int) -> Callable[[Path, Any], None]:
    return lambda folder, _: write_cub(folder, classes)


def dogs_without(path: str) -> Callable[[Path, Any], None]:
    def make(folder: Path, _: Any) -> None:
        write_dogs(folder)
        (folder / path).unlink()

    return make


def dogs_with_a_broken_list(folder: Path, _: Any) -> None:
    write_dogs(folder)
    (folder / "test_list.mat").write_bytes(b"not a list")


def dogs_with_another_split(folder: Path, _: Any) -> None:
    touch(folder, {"train": 3, "test": 2}, DOGS)


def imagenet_of(train: Sequence[str], val: Sequence[str]) -> Callable[[Path, Any], None]:
    def make(folder: Path, _: Any) -> None:
        touch(folder, {"train": 2}, train)
        touch(folder, {"val": 1}, val)

    return make


def imagenet_with_a_flat_val(folder: Path, _: Any) -> None:
    touch(folder, {"train": 2}, SYNSETS[:3])
    (folder / "val").mkdir()
    (folder / "val" / "ILSVRC2012_val_00000001.JPEG").touch()


def imagenette_of_another_edition(folder: Path, _: Any) -> None:
    touch(folder, {"train": 3, "val": 2}, SYNSETS[:10])


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
    "cub200, 50 classes": ("cub200", cub_of(50), "classes.txt lists 50 classes, not 200; use all of CUB-200-2011"),
    "dogs, empty": (
        "stanford_dogs",
        nothing,
        "neither train_list.mat and test_list.mat with Images/ nor train/ and test/",
    ),
    "dogs, one list": ("stanford_dogs", dogs_without("train_list.mat"), "neither train_list.mat and test_list.mat"),
    "dogs, a picture gone": (
        "stanford_dogs",
        dogs_without(f"Images/{DOGS[1]}/n02085782_train3.jpg"),
        "n02085782_train3.jpg is missing, with 0 others",
    ),
    "dogs, a broken list": ("stanford_dogs", dogs_with_a_broken_list, "test_list.mat is not Stanford Dogs' list"),
    "dogs, another split": (
        "stanford_dogs",
        dogs_with_another_split,
        "train holds 9 pictures, Stanford Dogs has 12000",
    ),
    "imagenet, empty": ("imagenet", nothing, "must hold train/<wnid>/ and val/<wnid>/"),
    "imagenet, flat val": ("imagenet", imagenet_with_a_flat_val, "val must hold the classes of train/"),
    "imagenet, 999": (
        "imagenet",
        imagenet_of(SYNSETS[1:], SYNSETS[1:]),
        "each of ImageNet's 1000 synsets in train/ and in val/; 1 differ, check n01440764",
    ),
    "imagenet, an odd one": ("imagenet", imagenet_of([*SYNSETS, "n1"], [*SYNSETS, "n1"]), "1 differ, check n1"),
    "imagenette, empty": ("imagenette", nothing, "must hold Imagenette's train/ and val/, or a folder imagenette2"),
    "imagenette, no val": ("imagenette", folders_without("val"), "val is missing; Imagenette has train and val"),
    "imagenette, another edition": (
        "imagenette",
        imagenette_of_another_edition,
        "train holds 30 pictures, Imagenette has 9469 there; use the official split, or read the folder as imagefolder",
    ),
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
    assert Counter(rest.pictures + drawn.pictures) == Counter(examples.pictures)
    kept = tuple(item for item in examples.pictures if item in rest.pictures)
    assert rest.pictures == kept  # the order of the whole
    assert hold_out(examples, lambda count: count // 4, 5) == (rest, drawn)
    assert hold_out(examples, lambda count: count // 4, 6) != (rest, drawn)


def test_a_picture_opens_alike_from_a_path_its_bytes_and_its_pixels(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    file = io.BytesIO((tmp_path / "a.png").read_bytes())
    for item in (tmp_path / "a.png", file.getvalue(), pixels):
        assert np.array_equal(np.asarray(read_picture(item).image), pixels)
    Image.fromarray(pixels).convert("L").save(tmp_path / "grey.png")
    assert read_picture(tmp_path / "grey.png").image.mode == "RGB"
