"""Files and folders that are complete whenever they have their final name, also after a kill or a power cut."""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from jpegdl.pairs.facts import WeightsFile

_LFS_POINTER = b"version https://git-lfs"


class CheckpointError(ValueError):
    """A pair on disk that cannot be used; the message is one sentence that names the file and the remedy."""


def write_file(path: Path, data: bytes) -> None:
    """Under the name `path` lies what was there before or `data`, never a part of it."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".unfinished-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)  # mkstemp's files are for their owner alone
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise


@contextmanager
def alone_in(path: Path, *, busy: str = "") -> Iterator[int | None]:
    """One program at a time is in this block with the same folder or file, as far as the system can see to that.

    Waits for another one, or raises ValueError(busy). Yields a descriptor: programs that are started with it keep the
    place as well. It is None where there are no locks.
    """
    try:
        import fcntl

        descriptor = os.open(path, os.O_RDONLY)
    except (ImportError, OSError):  # Windows; nothing is there
        yield None
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (fcntl.LOCK_NB if busy else 0))
        except BlockingIOError:
            raise ValueError(busy) from None
        except OSError:  # a file system without locks
            pass
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """A folder to fill, which gets the name `folder` at the end, or does not exist."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".unfinished-") as scratch:
        staged = Path(scratch) / "folder"
        staged.mkdir()
        yield staged
        os.rename(staged, folder)


def write_weights(folder: Path, stem: str, data: bytes) -> WeightsFile:
    """Write weights beside others that a card may still name; a file that holds other ones keeps its name."""
    sha256 = hashlib.sha256(data).hexdigest()
    path = folder / f"{stem}.safetensors"
    if path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
        path = folder / f"{stem}-{sha256[:12]}.safetensors"
    if not path.exists():
        write_file(path, data)
    return WeightsFile(file=path.name, sha256=sha256, bytes=len(data))


def read_weights(folder: Path, file: WeightsFile) -> bytes:
    """Raises CheckpointError for a file that is missing, a Git LFS pointer or not the one that the card describes."""
    path = folder / file.file
    if not path.is_file():
        raise CheckpointError(f"{short(path)} is missing; restore the file or train the pair again.")
    data = path.read_bytes()
    if data.startswith(_LFS_POINTER):
        raise CheckpointError(f"{short(path)} is a Git LFS pointer, not weights; run `git lfs pull`.")
    if hashlib.sha256(data).hexdigest() != file.sha256:
        raise CheckpointError(f"{short(path)} does not match the hash in its card; restore the file.")
    return data


def read_text(path: Path) -> str:
    """A card's text. Raises CheckpointError where there is none."""
    if not path.is_file():
        raise CheckpointError(f"{short(path)} is missing; restore the file or train the pair again.")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise CheckpointError(f"{short(path)} is not UTF-8 text; restore the file or train the pair again.") from None


def short(path: Path) -> str:
    """Folder and file name, without the rest of the machine's path."""
    return f"{path.parent.name}/{path.name}"
