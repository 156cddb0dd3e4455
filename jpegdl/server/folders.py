"""Where uploads and results lie: a folder of this process alone, gone when it ends, or swept by the next one.

Imports neither torch nor gradio.
"""

import atexit
import contextlib
import os
import shutil
import tempfile
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: no locks, so nobody can tell which folders are of dead processes
    fcntl = None  # type: ignore[assignment]

PREFIX = "jpegdl-explorer-"
LOCK = ".lock"  # held by the process as long as it lives, however it ends
_ours: list[tuple[Path, int]] = []  # and the process that made it


def make_private_folder(place: Path) -> Path:
    """A new folder in `place` that only this user can read; removed when the process ends, but for a kill."""
    place.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=place))
    _hold(folder / LOCK)
    _ours.append((folder, os.getpid()))
    return folder


@atexit.register
def remove_private_folders() -> None:
    """Remove those of this process; a forked child's end must not."""
    for folder, owner in _ours:
        if os.getpid() == owner:
            shutil.rmtree(folder, ignore_errors=True)


def remove_folders_of_dead_runs(place: Path) -> list[Path]:
    """Delete what killed processes of this user left in `place`; returns what was deleted."""
    removed: list[Path] = []
    if fcntl is None or not place.is_dir():
        return removed
    for folder in place.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):  # of another user, or gone meanwhile
            if folder.stat().st_uid == os.getuid() and not folder.is_symlink() and _nobody_holds(folder / LOCK):
                shutil.rmtree(folder)
                removed.append(folder)
    return removed


def _hold(lock: Path) -> None:
    """Lock a new file until this process and all its forks are dead."""
    handle = os.open(lock, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    if fcntl is not None:
        fcntl.flock(handle, fcntl.LOCK_EX)


def _nobody_holds(lock: Path) -> bool:
    """Whether the process that made this file is dead. A folder without one is somebody else's, or seconds old."""
    if not lock.exists():
        return False
    with open(lock, "rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


__all__ = ["make_private_folder", "remove_folders_of_dead_runs", "remove_private_folders"]
