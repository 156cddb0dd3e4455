"""What is deleted when, with a clock: no file of a visitor gets older than an hour."""

import asyncio
import os
import threading
import time
from pathlib import Path

import pytest

from jpegdl.server.sweeping import FILE_SECONDS, SWEEP_SECONDS, repeating, sweep

NAMES = ["hash/photo.jpg", "tmpabc123", "results/hash/facts.json", "results/a.png", "deep/er/still/b.png"]


def make(folder: Path, *names: str, at: float) -> list[Path]:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
        os.utime(folder / name, (at, at))
    return [folder / name for name in names]


def test_no_file_gets_older_than_an_hour(tmp_path):
    """The clock of a day, swept as the server sweeps, with a file made at every minute of the first hour."""
    assert FILE_SECONDS + SWEEP_SECONDS < 3600
    paths = {minute: make(tmp_path, f"{minute}/a.jpg", at=60.0 * minute)[0] for minute in range(60)}
    oldest = 0.0
    for now in range(0, 3 * 3600, SWEEP_SECONDS):
        sweep(tmp_path, now=float(now))
        oldest = max([oldest, *(now + SWEEP_SECONDS - 60 * minute for minute, path in paths.items() if path.exists())])
    assert FILE_SECONDS < oldest <= 3600
    assert not any(path.exists() for path in paths.values())


@pytest.mark.parametrize("age", [FILE_SECONDS - 1, FILE_SECONDS + 1], ids=["young", "old"])
def test_uploads_their_parts_and_results_go_when_they_are_old_and_not_before(tmp_path, age):
    paths = make(tmp_path, *NAMES, at=1000)
    deleted = sweep(tmp_path, now=1000 + age)
    assert sorted(deleted) == (sorted(paths) if age > FILE_SECONDS else [])
    assert [path.exists() for path in paths] == [age < FILE_SECONDS] * len(paths)


def test_what_the_page_itself_shows_and_hidden_files_stay(tmp_path):
    example, lock, photo = make(tmp_path, "hash/example.png", ".lock", "hash/photo.jpg", at=0)
    assert sweep(tmp_path, keep=[str(example)], now=1e6) == [photo]
    assert [example.exists(), lock.exists()] == [True, True]


def test_empty_folders_go_but_not_the_folder_itself(tmp_path):
    make(tmp_path, "a/b/c.jpg", at=0)
    sweep(tmp_path, now=1e12)
    sweep(tmp_path, now=1e12)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_somebody_else_removes_meanwhile_does_not_stop_the_sweep(tmp_path, monkeypatch):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    (tmp_path / "old.jpg").touch()
    os.utime(tmp_path / "old.jpg", (0, 0))
    known = os.path.getmtime

    def gone_first(path: str) -> float:
        os.rmdir(path)
        return known(path)

    monkeypatch.setattr(os.path, "getmtime", gone_first)
    assert [path.name for path in sweep(tmp_path)] == ["old.jpg"]


def test_what_is_repeated_goes_on_after_a_failure():
    calls: list[int] = []

    def fails_at_first() -> None:
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError("once")

    async def a_while() -> None:
        async with repeating(fails_at_first, 0.01):
            for _ in range(1000):
                if len(calls) >= 3:
                    break
                await asyncio.sleep(0.01)

    asyncio.run(a_while())
    assert len(calls) >= 3


def test_the_server_sweeps_again_and_again_while_it_runs():
    swept = []
    twice = threading.Event()

    def sweep_once() -> None:
        swept.append(time.monotonic())
        if len(swept) == 2:
            twice.set()

    async def run() -> None:
        async with repeating(sweep_once, 0.05):
            await asyncio.to_thread(twice.wait, 5)

    asyncio.run(run())
    assert len(swept) >= 2
    assert swept[1] - swept[0] >= 0.05
