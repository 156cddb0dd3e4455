"""Work in pieces: what is finished is kept in a file, and the same command with the same settings goes on."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any


def finished(file: Path, settings: Mapping[str, Any]) -> Iterator[Any]:
    """The pieces that `file` holds, in order; a file that does not exist is begun.

    A last line that was cut off is dropped. Raises ValueError for pieces of other settings.
    """
    if not file.exists():
        file.write_text(json.dumps(dict(settings)) + "\n", encoding="utf-8")
        return
    lines = file.read_text(encoding="utf-8").split("\n")
    whole, cut_off = lines[:-1], lines[-1]
    if cut_off:
        file.write_text("".join(f"{line}\n" for line in whole), encoding="utf-8")
    known = json.loads(whole[0]) if whole else {}
    if known != dict(settings):
        differing = [name for name in settings if known.get(name) != settings[name]]
        named = ", ".join(differing) or "some that are not there any more"
        raise ValueError(f"{file} was begun with other settings: {named}; give the same, or remove the file")
    yield from map(json.loads, whole[1:])


def keep(file: Path, piece: Any) -> None:
    """Add a finished piece."""
    with file.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(piece) + "\n")
