"""How many processor cores this process may use. Standard library only: read before torch is imported."""

import os
from pathlib import Path, PurePosixPath

_GROUPS, _OWN_GROUP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def cpu_cores() -> int:
    """Whole cores, at least one: those the scheduler gives this process, and no more than its control group's share.

    CPU_CORES, if set, is believed before both: a container on a Space is told by it, and sees the host's cores.
    """
    try:
        return max(1, int(os.environ["CPU_CORES"]))
    except (KeyError, ValueError):
        return max(1, int(min(_scheduled(), group_share())))


def _scheduled() -> int:
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def group_share(groups: Path = _GROUPS, own: Path = _OWN_GROUP) -> float:
    """Cores that the control groups of this process leave it, of version 1 or 2; infinity without a limit."""
    places = [groups, groups / "cpu"]  # inside a container its own group is the root
    for line in _text(own).splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "" or "cpu" in controllers.split(","):
            root = groups if controllers == "" else groups / "cpu"
            inside = PurePosixPath(path.lstrip("/"))
            places += [root / part for part in (inside, *inside.parents)]  # a limit of any of them counts
    return min(_limit(place) for place in places)


def _limit(group: Path) -> float:
    """Cores of one group's quota."""
    words = _text(group / "cpu.max").split() or [  # version 2 in one file, version 1 in two
        _text(group / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period")
    ]
    try:
        quota, period = map(int, words)
    except ValueError:  # "max", or no such files
        return float("inf")
    return quota / period if quota > 0 < period else float("inf")


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError:
        return ""
