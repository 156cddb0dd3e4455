"""Which names in a folder or an archive are data, whichever reader asks: nothing hidden, nothing that systems leave."""

from collections.abc import Iterator
from pathlib import Path

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")  # of pictures, in any case

_SYSTEM = ("thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "icon\r")


def is_data(path: str) -> bool:
    """Whether a path inside a data set, with forward slashes, counts: no part of it is hidden or a system's."""
    return not any(part.startswith(".") or part.lower() in _SYSTEM for part in path.removeprefix("./").split("/"))


def is_picture(path: str) -> bool:
    """Whether a path inside a data set is a picture's."""
    return is_data(path) and path.lower().endswith(SUFFIXES)


def pictures_in(folder: Path, pattern: str) -> Iterator[tuple[str, Path]]:
    """(Path inside `folder` with forward slashes, file) of each picture that the pattern finds, in no order."""
    for path in folder.glob(pattern):
        if is_picture(name := path.relative_to(folder).as_posix()) and path.is_file():
            yield name, path
