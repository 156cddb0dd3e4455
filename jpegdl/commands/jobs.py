"""Several programs that share a device: as many at a time as its memory holds, never one left behind."""

import subprocess
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

_LOOK_EVERY = 0.2  # seconds


@dataclass(frozen=True)
class Job:
    """A program with its arguments, the bytes that it needs, and where its output goes (None: the terminal)."""

    name: str
    command: tuple[str, ...]
    memory: int = 0
    log: Path | None = None


def run_jobs(
    jobs: Sequence[Job], *, memory: int, at_once: int, held: int | None, started: Callable[[Job], None]
) -> Generator[tuple[Job, int]]:
    """Yields each job when it ends, with its exit status. A job that needs more than `memory` runs alone.

    `held`: a file descriptor that the programs keep open, as a lock. If the caller stops asking, or is interrupted,
    the running ones are ended.
    """
    waiting, running = list(jobs), dict[Job, subprocess.Popen[bytes]]()
    try:
        while waiting or running:
            while (job := _next(waiting, list(running), memory, at_once)) is not None:
                waiting.remove(job)
                started(job)
                running[job] = _start(job, held)
            for job, process in list(running.items()):
                if process.poll() is not None:
                    del running[job]
                    yield job, process.returncode
            time.sleep(_LOOK_EVERY)
    finally:
        for process in running.values():
            process.terminate()
        for process in running.values():
            process.wait()


def _next(waiting: Sequence[Job], running: Sequence[Job], memory: int, at_once: int) -> Job | None:
    """The first job for which there is room now; any job if none runs."""
    if not running:
        return waiting[0] if waiting else None
    free = memory - sum(job.memory for job in running)
    if len(running) >= at_once:
        return None
    return next((job for job in waiting if job.memory <= free), None)


def _start(job: Job, held: int | None) -> subprocess.Popen[bytes]:
    kept = [] if held is None else [held]
    if job.log is None:
        return subprocess.Popen(job.command, pass_fds=kept)
    with job.log.open("ab") as log:
        return subprocess.Popen(job.command, stdout=log, stderr=subprocess.STDOUT, pass_fds=kept)
