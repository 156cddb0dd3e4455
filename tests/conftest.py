"""What several test files need. Run before any of them is imported, so before gradio and torch."""

import gc
import os
import shutil
import socket
from pathlib import Path

import pytest
from PIL import Image

from jpegdl.server.environment import prepare_environment

# torch: two threads, since several test runs may share a machine; one where the tests run in several processes, which
# inherit what the first one sets
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ["OMP_NUM_THREADS"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "2")
prepare_environment()  # as app.py does: no telemetry, and a private folder for uploads

if DEVICE := os.environ.get("JPEGDL_TEST_DEVICE"):  # benchmarks/gpu.py: where pairs lie that are given no place
    from jpegdl.pairs import checkpoints

    for _function in (checkpoints.load_pair, checkpoints.load_pairs):
        _function.__defaults__ = (DEVICE,)

EXAMPLES = Path(__file__).parents[1] / "assets" / "examples"


# Files that take ten seconds and more come first, so that no process is left alone with one at the end.
LONG = ["test_browser", "test_reproduce", "test_zerogpu", "test_table", "test_deploy", "test_stage", "test_networks"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    place = {f"{name}.py": number for number, name in enumerate(LONG)}
    items.sort(key=lambda item: place.get(item.path.name, len(LONG)))


def pytest_collection_finish() -> None:
    """What is imported by now stays; the garbage collector need not walk through it again and again."""
    gc.freeze()


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a Chromium or Chrome. Without one the test is skipped, but fails where CI promises one."""
    for name in ("chromium", "chromium-browser", "google-chrome", "chrome"):
        if path := shutil.which(name):
            return path
    message = "no Chromium is installed"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="session")
def free_port() -> int:
    """A port of this machine that nothing listens on, for one server per test session."""
    return unused_port()


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def photos() -> dict[str, Image.Image]:
    """The example photographs in RGB, by file name."""
    found = {path.name: Image.open(path).convert("RGB") for path in sorted(EXAMPLES.glob("*.jpg"))}
    if not found:
        pytest.fail(f"no photographs in {EXAMPLES}")
    return found


@pytest.fixture(scope="session")
def photo(photos: dict[str, Image.Image]) -> Image.Image:
    """One of them."""
    return next(iter(photos.values()))
