"""Starting and ending as people do: odd environments, a taken port, a stop; each in a process of its own."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from jpegdl.server.folders import PREFIX, remove_folders_of_dead_runs
from jpegdl.server.waiting import STOPPING
from tests.conftest import unused_port
from tests.visitors import Visitor, fn_index

ROOT = Path(__file__).parents[1]
APP = """
    from jpegdl.server.environment import prepare_environment
    prepare_environment()
    import time
    import gradio as gr
    from jpegdl.server.results import save_bytes
    from jpegdl.server.environment import results_folder
    from jpegdl.server.serving import serve
    from jpegdl.server.stopping import exit_on_sigterm
    exit_on_sigterm()

    def work(text):
        time.sleep(float(text))
        return save_bytes(text.encode(), "result.txt", results_folder())

    with gr.Blocks() as demo:
        word, file = gr.Textbox(), gr.File()
        gr.Button().click(work, word, file, api_name="work")
    serve(demo, seconds_per_analysis=0.1)
"""


@contextmanager
def app(place: Path, *, first: str = "", **environment: str) -> Iterator[SimpleNamespace]:
    """A small app as a process, whose folder for temporary files is `place`."""
    port = unused_port()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GRADIO_", "PYTEST"))}
    settings = {"TMPDIR": str(place), "GRADIO_SERVER_PORT": str(port), "PYTHONPATH": str(ROOT), **environment}
    process = subprocess.Popen(
        [sys.executable, "-c", f"{first}\n{textwrap.dedent(APP)}"],
        cwd=place,
        env={**kept, **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False) as client:
            wait_for(client, process)
            yield SimpleNamespace(process=process, client=client, place=place)
    finally:
        process.kill()
        sys.stdout.write(process.communicate()[0])  # shown by pytest if the test fails


def wait_for(client: httpx.Client, process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 90
    while time.monotonic() < end:
        try:
            if client.get("/readyz").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
        if process.poll() is not None:
            break
    pytest.fail(f"the app did not start: {process.communicate()[0]}")


def private_folders(place: Path) -> list[Path]:
    return sorted(place.glob(f"{PREFIX}*"))


def test_on_sigterm_what_runs_ends_who_waits_is_told_and_nothing_is_left(tmp_path):
    with app(tmp_path) as running:
        work = fn_index(running.client, "work")
        runs, waits = Visitor(running.client), Visitor(running.client)
        runs.join(work, ["1.5"])
        with runs.stream() as first:
            assert next(message for message in first if message["msg"] == "process_starts")
            waits.join(work, ["0"])
            with waits.stream() as second:
                assert next(second)["msg"] == "estimation"
                started = time.monotonic()
                running.process.send_signal(signal.SIGTERM)
                told = next(message for message in second if message["msg"] == "process_completed")
                done = next(message for message in first if message["msg"] == "process_completed")
        assert (told["success"], told["output"]["error"]) == (False, STOPPING)
        assert done["success"]
        assert running.process.wait(10) == 0
        assert time.monotonic() - started < 10
        assert private_folders(tmp_path) == []


def test_what_a_killed_run_left_is_removed_by_the_next_one_and_a_living_ones_is_not(tmp_path):
    code = f"""
import sys, pathlib, time
sys.path.insert(0, {str(ROOT)!r})
from jpegdl.server.folders import make_private_folder
(make_private_folder(pathlib.Path({str(tmp_path)!r})) / "a visitor's photo.jpg").write_bytes(b"photo")
print("made", flush=True)
time.sleep(60)
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout is not None
        process.stdout.readline()
        (left,) = private_folders(tmp_path)
        assert remove_folders_of_dead_runs(tmp_path) == []
        process.kill()
    (tmp_path / f"{PREFIX}of-somebody-else").mkdir()
    assert remove_folders_of_dead_runs(tmp_path) == [left]
    assert private_folders(tmp_path) == [tmp_path / f"{PREFIX}of-somebody-else"]


NOBODY = """
import os, pwd
os.environ.pop("HOME", None)
def unknown(*_): raise KeyError("no such user")
pwd.getpwuid = pwd.getpwnam = unknown
"""


def test_it_works_for_an_unknown_user_with_a_proxy_in_the_c_locale_under_a_root_path_in_another_folder(tmp_path):
    environment = {
        "http_proxy": "http://127.0.0.1:9",
        "all_proxy": "http://127.0.0.1:9",
        "LC_ALL": "C",
        "PYTHONUTF8": "0",
        "PYTHONCOERCECLOCALE": "0",
        "GRADIO_ROOT_PATH": "/behind/a/proxy",
    }
    with app(tmp_path, first=NOBODY, **environment) as running:
        assert "gradio" in running.client.get("/").text
        answer = Visitor(running.client).ask(fn_index(running.client, "work"), ["0"])
        assert "/behind/a/proxy/gradio_api/file=" in answer["output"]["data"][0]["url"]
        assert running.client.get(file_url(answer)).text == "0"

        (folder,) = private_folders(tmp_path)  # and somebody's cleaning removes its folder while it runs
        shutil.rmtree(folder)
        uploaded = running.client.post("/gradio_api/upload", files={"files": ("a.jpg", b"data")})
        assert uploaded.status_code == 200
        answer = Visitor(running.client).ask(fn_index(running.client, "work"), ["0"])
        assert running.client.get(file_url(answer)).text == "0"


def file_url(answer: dict[str, Any]) -> str:
    return f"/gradio_api/file={answer['output']['data'][0]['path']}"


@pytest.mark.parametrize(("port", "sentence"), [(None, "Nothing can listen on"), ("many", "must be a number")])
def test_a_port_that_is_taken_or_none_is_said_in_one_sentence(tmp_path, port, sentence):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        settings = {"TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
        settings["GRADIO_SERVER_PORT"] = port or str(taken.getsockname()[1])
        code = "from jpegdl.server.ports import free_port; free_port()"
        done = subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, **settings}, capture_output=True, text=True, timeout=90
        )
    assert done.returncode == 1
    assert sentence in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_user_whom_the_system_does_not_know_gets_a_name_and_a_home_before_libraries_ask_for_them(tmp_path):
    code = NOBODY + (
        "from pathlib import Path\n"
        "from jpegdl.server.environment import prepare_environment\n"
        "folder = prepare_environment()\n"
        "import jpegdl.server.zerogpu\n"  # it imports spaces, where that is installed
        "import torch, torchvision, matplotlib.font_manager\n"
        "print(Path.home() == folder)\n"
    )
    environment = {"PATH": os.environ["PATH"], "TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr


def test_gradio_writes_no_stubs_of_components(tmp_path):
    file = tmp_path / "own_component.py"
    file.write_text("import gradio as gr\n\n\nclass Own(gr.Textbox):\n    EVENTS = ['change']\n", encoding="utf-8")
    spec = spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[file.stem] = module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.Own().get_config()["name"] == "own"
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".pyi"] == []
