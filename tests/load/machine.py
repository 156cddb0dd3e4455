"""What an app and its decoders take of the machine; from /proc, so on Linux only."""

from pathlib import Path


def with_children(process: int) -> list[int]:
    found = [process]
    for number in found:
        for children in Path(f"/proc/{number}/task").glob("*/children"):
            found += map(int, children.read_text(encoding="ascii").split())
    return found


def megabytes(process: int) -> float:
    """Resident memory of the process alone."""
    pages = int(Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / 2**20


def descriptors(process: int) -> int:
    return len(list(Path(f"/proc/{process}/fd").iterdir()))


def files_below(folder: Path) -> int:
    return sum(path.is_file() for path in folder.rglob("*"))
