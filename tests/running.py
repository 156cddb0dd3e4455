"""The real app in a process of its own, for the tests that look at it from outside."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import unused_port

ROOT = Path(__file__).parents[1]
CHECKPOINTS = ROOT / "checkpoints"
PAIR = "flowers102-authors-resnet18"
SECONDS = 60  # for one answer: other work may keep this machine busy


@dataclass(frozen=True)
class App:
    """A running app: its address, and the folder of its uploads and results."""

    url: str
    folder: Path
    process: int  # its number


@contextmanager
def running(folder: Path, *arguments: str) -> Iterator[App]:
    """`python app.py` in a process of its own, on one core, until the block ends."""
    port = unused_port()
    ours = {"SERVER_NAME": "127.0.0.1", "SERVER_PORT": str(port), "TEMP_DIR": str(folder / "temporary")}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GRADIO_")}
    environment |= {f"GRADIO_{name}": value for name, value in ours.items()}
    environment |= {"OMP_NUM_THREADS": "1", "CPU_CORES": "1"}
    output = folder / "output.txt"
    with output.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "app.py", *arguments], cwd=ROOT, env=environment, stdout=file, stderr=subprocess.STDOUT
        )
    try:
        wait_until(lambda: process.poll() is not None or is_listening(port))
        assert process.poll() is None, output.read_text(encoding="utf-8")
        yield App(f"http://127.0.0.1:{port}", folder / "temporary", process.pid)
    finally:
        process.terminate()
        try:
            process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until(condition, seconds: float = 3 * SECONDS) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


_APP = pytest.StashKey[App]()


def shared_app(config: pytest.Config, folder: Path) -> App:
    """The one app with the shipped checkpoints, for every test file that asks, until the end of the session."""
    if _APP not in config.stash:
        stack = ExitStack()
        config.add_cleanup(stack.close)
        config.stash[_APP] = stack.enter_context(running(folder))
    return config.stash[_APP]
