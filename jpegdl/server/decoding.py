"""Decoding what strangers upload, in processes that may die of it.

A small file can be 25 million pixels, or take seconds a pass. Here such a file costs its sender one sentence, and the
others nothing: two processes decode, outside the queue's one place, and the second takes no picture that looks costly.
What comes back is small, the squares that the networks see, so results can be kept for all who wait.
"""

import json
import logging
import os
import subprocess
import sys
import threading
from collections import OrderedDict
from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
from PIL import Image

from jpegdl.codec.segments import count_scans
from jpegdl.pairs.squares import Prepared, square
from jpegdl.server.uploads import FORMATS, TOO_COSTLY, UNREADABLE, Refused, Table, read_upload

WALL_SECONDS = 15  # for one picture, on a machine however busy
KEPT = 24  # results of the last pictures; those of pictures that wait in the queue are kept besides
LARGE = 25_000_000  # cost of an ordinary JPEG of 25 megapixels
HEAD_BYTES = 100_000

_PACKAGE = Path(__file__).parents[2]
_log = logging.getLogger(__name__)
_Key = tuple[str, int, int]


@dataclass(frozen=True)
class Decoded:
    """An `Upload` whose picture stayed in the process that decoded it, but for its squares."""

    image: Prepared
    notes: tuple[str, ...]
    file_tables: tuple[Table, ...] | None
    format: str


class Decoders:
    """Reads uploads in processes of its own. `squares`: (size, short side) of every square that will be asked for."""

    def __init__(self, squares: Iterable[tuple[int, int]]) -> None:
        self._squares = sorted(set(squares))
        self._lock = threading.Lock()
        self._futures: WeakValueDictionary[_Key, Future[Decoded]] = WeakValueDictionary()
        self._kept: OrderedDict[_Key, Future[Decoded]] = OrderedDict()
        self._any: SimpleQueue[tuple[str, Future[Decoded]]] = SimpleQueue()
        self._small: SimpleQueue[tuple[str, Future[Decoded]]] = SimpleQueue()
        for queue in (self._any, self._small):
            threading.Thread(target=self._work, args=(queue,), daemon=True, name="decoder").start()

    def read(self, path: str | None) -> Decoded:
        """The picture in the file at `path`; waits for it. Raises only `Refused`."""
        return self.expect(path).result()

    def expect(self, path: str | None) -> "Future[Decoded]":
        """The same, as a future: decoding begins as soon as a process is free."""
        try:
            status = os.stat(path or "")
        except (OSError, ValueError):
            return _refused(path)
        path = os.path.realpath(path or "")  # or one file would be decoded under each of its many spellings
        key = (path, status.st_mtime_ns, status.st_size)
        with self._lock:
            if (future := self._futures.get(key)) is None:
                future = self._futures[key] = Future()
                self._queue_for(path).put((path, future))
            self._kept[key] = future
            self._kept.move_to_end(key)
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return future

    def forget_deleted(self) -> None:
        """Drop the results of files that are not there any more: no picture of a visitor outlives its file here."""
        with self._lock:
            for key in [key for key in self._kept if not os.path.exists(key[0])]:
                del self._kept[key]

    def _queue_for(self, path: str) -> "SimpleQueue[tuple[str, Future[Decoded]]]":
        """Costly pictures wait for the first process; the others go where fewer wait, so never behind all of those."""
        if cost(path) > LARGE or self._any.qsize() < self._small.qsize():
            return self._any
        return self._small

    def _work(self, queue: "SimpleQueue[tuple[str, Future[Decoded]]]") -> None:
        process = _Process(self._squares)
        while True:
            path, future = queue.get()
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(process.read(path))
            except Refused as refused:
                future.set_exception(refused)
            except Exception:
                _log.exception("a decoder failed")
                future.set_exception(Refused(TOO_COSTLY))
            del future  # or the last one would never be forgotten


class _Process:
    """One decoder, started when it is needed and again when it has died."""

    def __init__(self, squares: list[tuple[int, int]]) -> None:
        self._squares = squares
        self._child = self._start()

    def read(self, path: str) -> Decoded:
        if self._child is None or self._child.poll() is not None:
            self._child = self._start()
        if self._child is None:
            return _read_here(path, self._squares)
        child = self._child
        clock = threading.Timer(WALL_SECONDS, child.kill)
        clock.start()
        try:
            return self._ask(child, path)
        except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
            if isinstance(error, Refused):
                raise
            child.kill()
            child.wait()
            self._child = self._start()
            _log.warning("a decoder ended with %s", child.returncode)
            raise Refused(TOO_COSTLY) from None
        finally:
            clock.cancel()

    def _ask(self, child: "subprocess.Popen[bytes]", path: str) -> Decoded:
        if child.stdin is None or child.stdout is None:
            raise EOFError
        child.stdin.write(json.dumps({"path": path, "squares": self._squares}).encode() + b"\n")
        child.stdin.flush()
        head: dict[str, Any] = json.loads(child.stdout.readline(HEAD_BYTES) or "null")
        if "refused" in head:
            raise Refused(str(head["refused"])[:300])
        squares = {}
        for size, short_side in self._squares:
            data = child.stdout.read(size * size * 3)
            squares[size, short_side] = np.frombuffer(data, np.uint8).reshape(size, size, 3)
        width, height = head["size"]
        tables = head["file_tables"]
        return Decoded(
            image=Prepared((int(width), int(height)), squares),
            notes=tuple(map(str, head["notes"])),
            file_tables=tables and tuple(tuple(tuple(map(int, row)) for row in table) for table in tables),
            format=str(head["format"]),
        )

    def _start(self) -> "subprocess.Popen[bytes] | None":
        kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "LD_LIBRARY_PATH") if name in os.environ}
        one = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")}
        try:
            return subprocess.Popen(
                [sys.executable, "-m", "jpegdl.server.decoder"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**kept, **one, "PYTHONPATH": str(_PACKAGE), "MALLOC_ARENA_MAX": "1"},
                cwd=_PACKAGE,
            )
        except OSError:
            _log.warning("no process can be started to decode pictures; they are decoded in this one", exc_info=True)
            return None


def _read_here(path: str, squares: list[tuple[int, int]]) -> Decoded:
    upload = read_upload(path)
    prepared = {wanted: square(upload.image, *wanted) for wanted in squares}
    return Decoded(Prepared(upload.image.size, prepared), upload.notes, upload.file_tables, upload.format)


def _refused(path: str | None) -> "Future[Decoded]":
    """What `read_upload` says of a file that is not there."""
    future: Future[Decoded] = Future()
    try:
        read_upload(path)
        future.set_exception(Refused(UNREADABLE))  # it came into being meanwhile
    except Refused as refused:
        future.set_exception(refused)
    return future


def cost(path: str) -> float:
    """About what decoding takes, in pixels of an ordinary JPEG; from the header alone. 0 for what will be refused."""
    try:
        with Image.open(path, formats=FORMATS) as opened:
            pixels = float(opened.width * opened.height)
            if opened.format not in ("JPEG", "MPO"):
                return 3 * pixels
            if opened.mode == "CMYK":
                return 4 * pixels
            return pixels * (1 + count_scans(Path(path).read_bytes()) / 10 if opened.info.get("progressive") else 1)
    except Exception:  # whatever Pillow raises for a header that lies
        return 0.0


__all__ = ["Decoded", "Decoders", "cost"]
