"""The process that decodes what strangers upload: `python -m jpegdl.server.decoder`, started by decoding.py.

One line of JSON in, {"path", "squares"}; one line of JSON out, then the bytes of the squares. Each picture may take so
much CPU time and the process so much memory; beyond that the system ends it, and nobody else notices. Imports Pillow
and NumPy only, and is told no secret: its environment is empty.
"""

import json
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

try:
    import resource
except ImportError:  # Windows: bounded by the parent's clock alone
    resource = None  # type: ignore[assignment]

from jpegdl.pairs.squares import square
from jpegdl.server.uploads import TOO_COSTLY, Refused, Upload, read_upload

CPU_SECONDS = 2.0  # for one picture
MEMORY = 512 * 2**20  # bytes, besides what the process has when it begins


def main() -> None:
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever a library prints is no answer
    limit_memory()
    for line in requests:
        limit_cpu(CPU_SECONDS)
        answer(json.loads(line), answers)
        limit_cpu(0)  # no limit while it waits


def answer(request: dict[str, object], answers: BinaryIO) -> None:
    """Write what is in the file of one request, or why it is refused."""
    squares: list[bytes] = []
    try:
        upload = read_upload(str(request["path"]))
        squares = [square(upload.image, *map(int, wanted)).tobytes() for wanted in request["squares"]]  # type: ignore[attr-defined]
        head = describe(upload)
    except Refused as refused:
        head = {"refused": str(refused)}
    except MemoryError:
        head = {"refused": TOO_COSTLY}
    answers.write(json.dumps(head).encode() + b"\n" + b"".join(squares if "size" in head else []))
    answers.flush()


def describe(upload: Upload) -> dict[str, object]:
    return {
        "size": upload.image.size,
        "notes": upload.notes,
        "file_tables": upload.file_tables,
        "format": upload.format,
    }


def limit_memory() -> None:
    if resource is not None:
        with suppress(OSError, ValueError):  # not on every system
            now = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (now + MEMORY, now + MEMORY))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # it writes no file


def limit_cpu(seconds: float) -> None:
    """After so much CPU time from now the system ends the process; 0: no limit."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_PROF, seconds)


if __name__ == "__main__":
    main()
