"""The app on ZeroGPU, by the emulation of the real `spaces` package: a forked worker, pickled questions and answers."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

import httpx
import numpy as np
import pytest
from gradio_client import Client, handle_file  # type: ignore[import-untyped]
from gradio_client.exceptions import AppError  # type: ignore[import-untyped]

from jpegdl.analysis.request import answer, make_request
from jpegdl.pairs.checkpoints import load_pair
from jpegdl.pairs.classifier import ARMS
from tests.conftest import unused_port
from tests.tiny import smooth_picture, write_pair

pytest.importorskip("spaces")
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
ROOT = Path(__file__).parents[1]


class Scheduler(BaseHTTPRequestHandler):
    """What lends the GPU: grants everything, until `left` is 0; notes the seconds that were asked for."""

    asked: ClassVar[list[int]] = []
    left: ClassVar[int] = 60

    def do_POST(self) -> None:
        path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
        status, result = 200, {"idle": False, "nvidiaIndex": 0, "nvidiaUUID": "none", "allowToken": "token"}
        if path == "/schedule":
            self.asked.append(int(query["durationSeconds"][0]))
            if not type(self).left:
                status, result = 429, {"left": 0, "wait": 3600}
        body = json.dumps(result).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """One pair of a real architecture, since the app knows no other."""
    made: Path = tmp_path_factory.mktemp("space")
    write_pair(made / "checkpoints" / "one", "resnet32", 5)
    smooth_picture(40, 60).save(made / "picture.png")
    return made


@pytest.fixture(scope="module")
def client(folder) -> Iterator[Client]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Scheduler) as scheduler:
        threading.Thread(target=scheduler.serve_forever, daemon=True).start()
        port = unused_port()
        environment = os.environ | {
            "SPACES_ZERO_GPU": "true",
            "SPACES_ZERO_DEVICE_API_URL": f"http://127.0.0.1:{scheduler.server_port}",
            "HOME": str(folder),
            "GRADIO_SERVER_PORT": str(port),
            "OMP_NUM_THREADS": "1",
        }
        command = [sys.executable, "-m", "tests.emulated_space", "--checkpoints", str(folder / "checkpoints")]
        with open(folder / "log.txt", "wb") as log:
            space = subprocess.Popen(
                command, env=environment, stdout=log, stderr=subprocess.STDOUT, cwd=ROOT, start_new_session=True
            )
        try:
            yield Client(wait_for(f"http://127.0.0.1:{port}", space, folder / "log.txt"), verbose=False)
        finally:
            space.terminate()
            space.wait(20)
            with suppress(ProcessLookupError):
                os.killpg(space.pid, signal.SIGKILL)  # the forked workers, which outlive it
            scheduler.shutdown()


def wait_for(address: str, space: subprocess.Popen[bytes], log: Path) -> str:
    """`address`, once something answers there; the program's own words if it ends before."""
    for _ in range(600):
        if space.poll() is not None:
            break
        try:
            httpx.get(address, timeout=5)
            return address
        except httpx.TransportError:
            time.sleep(0.2)
    raise AssertionError(log.read_text(encoding="utf-8"))


def test_the_pair_is_listed_and_its_tables_are_its_numbers(client, folder):
    (described,) = client.predict(api_name="/pairs")
    tables, _ = client.predict("one", api_name="/tables")
    assert described["pair"] == "one"
    assert np.array_equal(np.float32(tables["learned"]), load_pair(folder / "checkpoints" / "one").tables[0])


def test_a_comparison_in_the_worker_is_that_of_this_process(client, folder):
    pair = load_pair(folder / "checkpoints" / "one")
    for stage in ("stage 1", "stage 3 (last)"):
        numbers, files = client.predict(handle_file(folder / "picture.png"), "one", stage=stage, api_name="/compare")
        found = answer({"one": pair}, make_request(pair.card, smooth_picture(40, 60), stage=stage))
        for arm in ARMS:
            said = np.array(list(numbers["arms"][arm]["probabilities"].values()))
            assert np.allclose(said, found.probabilities[arm], atol=1e-5)
            assert numbers["arms"][arm]["explained_class"] == pair.card.class_names[found.targets[arm]]
        assert Path(files["reconstruction.png"]).stat().st_size > 100
    assert all(1 <= seconds <= 30 for seconds in Scheduler.asked)
    assert len(Scheduler.asked) == 2


def test_the_same_question_takes_no_second_of_a_quota(client, folder):
    before = len(Scheduler.asked)
    for _ in range(2):
        client.predict(handle_file(folder / "picture.png"), "one", stage="stage 2", api_name="/compare")
    assert len(Scheduler.asked) == before + 1


def test_a_spent_quota_comes_back_as_words(client, folder):
    Scheduler.left = 0
    try:
        with pytest.raises(AppError) as refused:
            client.predict(handle_file(folder / "picture.png"), "one", quantizer="all levels", api_name="/compare")
    finally:
        Scheduler.left = 60
    assert re.search(r"GPU (limit|quota)", str(refused.value))
    assert "<" not in str(refused.value)
    client.predict(handle_file(folder / "picture.png"), "one", quantizer="all levels", api_name="/compare")
