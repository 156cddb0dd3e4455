"""Work in pieces: what is finished is kept in a file, and the same command with the same settings goes on."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jpegdl.pairs.storage import alone_in


@contextmanager
def pieces_in(file: Path, settings: Mapping[str, Any]) -> Iterator[list[Any]]:
    """The pieces that `file` holds, in order; to `keep` more inside the block, at whose end the file is removed.

    A file that does not exist is begun; what comes after a piece that is cut off or damaged is dropped. Raises
    ValueError for pieces of other settings, if the first line does not say of which, and while another program is here.
    """
    file.touch()
    with alone_in(file, busy=f"another program measures what is in {file}; wait for it, or stop it"):
        yield _finished(file, settings)
        file.unlink()


def keep(file: Path, piece: Any) -> None:
    """Add a finished piece."""
    with file.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(piece) + "\n")


def _finished(file: Path, settings: Mapping[str, Any]) -> list[Any]:
    content = file.read_bytes()
    if not content:
        keep(file, dict(settings))
        return []
    lines, size = [], 0
    for line in content.split(b"\n")[:-1]:
        try:
            lines.append(json.loads(line))
        except ValueError:
            break
        size += len(line) + 1
    if not lines or not isinstance(lines[0], dict):
        raise ValueError(f"{file} is damaged; remove it to measure from the beginning")
    if lines[0] != settings:
        differing = [name for name in settings if lines[0].get(name) != settings[name]]
        named = ", ".join(differing) or "some that are not there any more"
        raise ValueError(f"{file} was begun with other settings: {named}; give the same, or remove the file")
    os.truncate(file, size)
    return lines[1:]
