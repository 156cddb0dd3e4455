"""Oxford Flowers-17: its official archive as it is, or sorted into folders."""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from jpegdl.pairs.pictures import Picture
from jpegdl.training.data import Dataset, hold_out, to_examples
from jpegdl.training.names import is_picture, pictures_in
from jpegdl.training.packs import unpacked
from jpegdl.training.validation import SPLIT_SEED

_ARCHIVES = ("flowers17.tar", "17flowers.tgz")  # sorted into folders; the official one
_EACH = 80  # pictures of a class
_CLASSES = (  # in the order of the official archive, which numbers all pictures through
    *("daffodil", "snowdrop", "lily_valley", "bluebell", "crocus", "iris", "tigerlily", "tulip", "fritillary"),
    *("sunflower", "daisy", "colts_foot", "dandelion", "cowslip", "buttercup", "windflower", "pansy"),
)
_OFFICIAL = {
    f"image_{number + 1:04}.jpg": f"{number // _EACH:02}.{_CLASSES[number // _EACH]}/image_{number + 1:04}.jpg"
    for number in range(_EACH * len(_CLASSES))
}


def flowers17(folder: Path) -> Dataset:
    """The 1,360 pictures, 80 of each of 17 classes. All layouts give the same parts.

    What `folder` may hold: the official 17flowers.tgz, or the folder jpg/ inside it, or the pictures themselves
    (image_0001.jpg .. image_1360.jpg, class after class); or folders <nn>.<class>/, or these as flowers17.tar.
    """
    files = _sorted(_files(folder))
    names = sorted({path.split("/")[0] for path in files})
    if len(names) != len(_CLASSES) or len(files) != len(_OFFICIAL):
        raise ValueError(
            f"{folder} holds {len(files)} pictures in {len(names)} folders; Flowers-17 has 1360 in 17 folders "
            "(<nn>.<class>/<name>.jpg, or flowers17.tar), or is the official archive, image_0001.jpg to image_1360.jpg"
        )
    examples = to_examples((files[path], names.index(path.split("/")[0])) for path in sorted(files))
    rest, test = hold_out(examples, lambda _: 20, SPLIT_SEED)
    train, validation = hold_out(rest, lambda _: 6, SPLIT_SEED)
    return Dataset(
        title="Oxford Flowers-17",
        source="Nilsback and Zisserman 2006",
        licence="research use; no picture of it is distributed here",
        split=f"seeded and stratified (seed {SPLIT_SEED}): of each class 54 train, 6 validation, 20 test",
        class_names=tuple(name.split(".", 1)[-1].replace("_", " ") for name in names),
        train=train,
        validation=validation,
        test=test,
    )


def _files(folder: Path) -> dict[str, Picture]:
    """Path inside `folder` or its archive -> picture."""
    for archive in (folder / name for name in _ARCHIVES):
        if archive.is_file():
            return {name: file for name, file in unpacked(archive).items() if is_picture(name)}
    return dict(pictures_in(folder, "*/*")) or dict(pictures_in(folder, "*"))


def _sorted(files: Mapping[str, Picture]) -> Mapping[str, Picture]:
    """Files of the official archive under the names that they have in class folders; others as they are."""
    plain = {PurePosixPath(path).name.lower(): file for path, file in files.items()}
    folders = {path.rpartition("/")[0] for path in files}
    if len(folders) == 1 and plain.keys() == _OFFICIAL.keys():
        return {_OFFICIAL[name]: file for name, file in plain.items()}
    return files
