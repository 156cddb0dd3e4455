"""Deleting what visitors sent and what was made of it, by age.

Gradio deletes the files that it knows, counted from when it learnt of them; parts of uploads, files that were never
sent, and the names of files that somebody else deleted, it keeps. Here every file of the folder is looked at.
"""

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path

FILE_SECONDS = 50 * 60  # age at which an upload or result goes; far longer than the longest wait
SWEEP_SECONDS = 5 * 60  # between two sweeps: no file gets older than the sum of both, under one hour
_log = logging.getLogger(__name__)


def sweep(folder: Path, *, keep: Iterable[str] = (), now: float | None = None) -> list[Path]:
    """Delete every file below `folder` that is older than FILE_SECONDS, and folders that are empty; returns the files.

    `keep`: paths that belong to the page itself, such as its example pictures. Hidden files are the app's own.
    """
    newest = (time.time() if now is None else now) - FILE_SECONDS
    kept = {os.path.realpath(path) for path in keep}
    deleted = []
    for parent, _, names in os.walk(folder, topdown=False):
        for path in [Path(parent, name) for name in names if not name.startswith(".")]:
            with contextlib.suppress(OSError):  # somebody else was faster
                if path.lstat().st_mtime < newest and os.path.realpath(path) not in kept:
                    path.unlink()
                    deleted.append(path)
        with contextlib.suppress(OSError):  # not empty, or gone already
            if Path(parent) != folder and os.path.getmtime(parent) < newest:
                os.rmdir(parent)
    return deleted


@contextlib.asynccontextmanager
async def repeating(function: Callable[[], object], seconds: float) -> AsyncIterator[None]:
    """`function` in a thread, now and every `seconds`, as long as the context lasts, also after it failed."""

    async def forever() -> None:
        while True:
            try:
                await asyncio.to_thread(function)
            except Exception:
                _log.exception("what is repeated failed; it is tried again")
            await asyncio.sleep(seconds)

    task = asyncio.create_task(forever())
    try:
        yield
    finally:
        task.cancel()


__all__ = ["FILE_SECONDS", "SWEEP_SECONDS", "repeating", "sweep"]
