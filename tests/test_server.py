"""A small app behind `serve`, on loopback, and what strangers may send to it."""

import asyncio
import errno
import http.server
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import httpx
import pytest

from jpegdl.server.door import MIB, TOO_LARGE, Door
from jpegdl.server.environment import prepare_environment, results_folder
from jpegdl.server.results import save_bytes, save_png
from jpegdl.server.serving import launch_settings, serve
from jpegdl.server.uploads import MAX_BYTES, NOT_A_PICTURE, UNREADABLE, Refused, read_upload
from jpegdl.ui.compare import uploaded
from tests.conftest import EXAMPLES, unused_port

MARK = {"_type": "gradio.FileData"}
BOUNDARY = "xxBOUNDARYxx"
FORM = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
A_FILE = 'name="files"; filename="a.jpg"'
ROOT = Path(__file__).parents[1]


def analyse(sent: dict[str, Any] | None) -> tuple[str, str, str]:
    try:
        upload = read_upload(uploaded(sent["path"] if sent else None))
    except Refused as refused:
        raise gr.Error(str(refused), title="Not accepted", print_exception=False) from None
    facts = json.dumps({"tables": upload.file_tables is not None}).encode()
    picture = save_png(upload.image, results_folder())
    return picture, save_bytes(facts, "facts.json", results_folder()), picture


@pytest.fixture(scope="module")
def other_hosts() -> Iterator[list[str]]:
    """The hosts, other than this machine, whose address this process asked for."""
    asked: list[str] = []
    original = socket.getaddrinfo

    def getaddrinfo(host, *arguments, **options):
        if host not in ("127.0.0.1", "localhost", "0.0.0.0", None):
            asked.append(str(host))
            raise OSError("tests stay on this machine")
        return original(host, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", getaddrinfo)
        yield asked


@pytest.fixture(scope="module")
def server(other_hosts) -> Iterator[SimpleNamespace]:
    with gr.Blocks() as demo:
        picture, word = gr.JSON(), gr.Textbox()
        shown, file, path = gr.Image(), gr.DownloadButton(), gr.Textbox()
        button = gr.Button()
        button.click(analyse, picture, [shown, file, path], api_name="analyse", concurrency_limit=8)
        button.click(lambda text: text, word, word, api_name="echo")
    _, url, _ = serve(demo, seconds_per_analysis=0.1, server_port=unused_port(), prevent_thread_lock=True, quiet=True)
    with httpx.Client(base_url=url, timeout=30) as client:
        yield SimpleNamespace(client=client, demo=demo, folder=prepare_environment())
    demo.close(verbose=False)


@pytest.fixture
def client(server) -> httpx.Client:
    return server.client


def upload(client: httpx.Client, data: bytes, name: str = "photo.jpg") -> str:
    answer = client.post("/gradio_api/upload", files={"files": (name, data)})
    assert answer.status_code == 200, answer.text
    return answer.json()[0]


def call(client: httpx.Client, value: object, event: str = "analyse") -> tuple[str, Any]:
    """-> "complete" and the outputs, or "error" and what the page would show."""
    joined = client.post(f"/gradio_api/call/{event}", json={"data": [value]})
    assert joined.status_code == 200, joined.text
    lines = client.get(f"/gradio_api/call/{event}/{joined.json()['event_id']}").text.splitlines()
    kind = next(line for line in lines if line.startswith(("event: complete", "event: error")))
    return kind.removeprefix("event: "), json.loads(lines[lines.index(kind) + 1].removeprefix("data: "))


def file_data(path: str) -> dict[str, object]:
    return {"path": path, "meta": MARK}


def example() -> bytes:
    return next(iter(sorted(EXAMPLES.glob("*.jpg")))).read_bytes()


def form(*fields: tuple[str, int]) -> bytes:
    """A form: what stands in each field's header, and how many bytes the field has."""
    start = f"--{BOUNDARY}\r\nContent-Disposition: form-data; "
    parts = [f"{start}{header}\r\n\r\n".encode() + bytes(size) + b"\r\n" for header, size in fields]
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def files_in(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


# What a visitor sends and gets


def test_the_handler_gets_the_file_itself_with_its_own_tables(client):
    kind, (_, facts, _) = call(client, file_data(upload(client, example())))
    assert kind == "complete"
    assert client.get(facts["url"]).json() == {"tables": True}


def test_the_result_is_served_from_where_the_app_wrote_it(client):
    _, (shown, facts, path) = call(client, file_data(upload(client, example())))
    assert shown["path"] == path
    assert client.get(shown["url"]).content == Path(path).read_bytes()
    assert Path(path).read_bytes().startswith(b"\x89PNG")
    assert Path(facts["path"]).parent.parent == results_folder()
    assert facts["orig_name"] == "facts.json"


def test_60_visitors_with_the_same_picture_all_get_all_of_it(client):
    path = upload(client, example())
    _, (shown, _, _) = call(client, file_data(path))
    whole = Path(shown["path"]).read_bytes()
    Path(shown["path"]).unlink()

    def visit(_number: int) -> bytes:
        _, (shown, _, _) = call(client, file_data(path))
        return client.get(shown["url"]).content

    with ThreadPoolExecutor(60) as pool:
        downloads = list(pool.map(visit, range(60)))
    assert [len(data) for data in downloads if data != whole] == []


def test_no_picture_is_answered_by_one_sentence(client):
    kind, error = call(client, None)
    assert (kind, error["title"]) == ("error", "Not accepted")
    assert error["error"] == "There is no picture yet; choose one first."


def test_text_named_jpg_is_answered_by_the_sentence_for_it(client):
    kind, error = call(client, file_data(upload(client, b"hello" * 100, "holiday.jpg")))
    assert (kind, error["error"]) == ("error", NOT_A_PICTURE)


def test_an_upload_that_was_deleted_meanwhile_is_answered_by_the_sentence_for_it(client):
    path = upload(client, b"gone")
    Path(path).unlink()
    assert call(client, file_data(path))[1]["error"] == UNREADABLE


@pytest.mark.parametrize("path", ["/", "/config", "/gradio_api/file=/nothing", "/gradio_api/process_recording"])
def test_every_answer_carries_the_protecting_headers(client, path):
    headers = client.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert "default-src 'self'" in headers["content-security-policy"]
    assert "x-frame-options" not in headers  # a Space is a frame


# Too much


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("upload", form((A_FILE, 7 * MIB), (A_FILE, 7 * MIB))),
        ("upload", form(('name="no-file"', 13 * MIB))),
        ("queue/join", b'{"data": ["' + b"a" * 2 * MIB + b'"]}'),
        ("call/echo", b'{"data": ["' + b"a" * 2 * MIB + b'"]}'),
    ],
    ids=["two files", "form field", "queue", "call"],
)
@pytest.mark.parametrize("chunked", [False, True], ids=["announced", "chunked"])
def test_a_body_that_is_too_large_gets_413_and_leaves_no_file(server, client, path, body, chunked):
    before = files_in(server.folder)
    headers = FORM if path == "upload" else {"content-type": "application/json"}
    content = (body[start : start + MIB] for start in range(0, len(body), MIB)) if chunked else body
    answer = client.post(f"/gradio_api/{path}", content=content, headers=headers)
    assert answer.status_code == 413
    assert "too large" in answer.json()["detail"]
    assert files_in(server.folder) == before


def test_a_picture_over_the_limit_of_one_file_gets_413_and_leaves_no_file(server, client):
    before = files_in(server.folder)
    answer = client.post("/gradio_api/upload", files={"files": ("a.jpg", bytes(MAX_BYTES + 1))})
    assert (answer.status_code, answer.json()) == (413, {"detail": TOO_LARGE})
    assert files_in(server.folder) == before


def test_a_picture_of_the_largest_size_is_stored(client):
    path = upload(client, bytes(MAX_BYTES))
    assert os.path.getsize(path) == MAX_BYTES
    Path(path).unlink()


def requests_read(path: str, length: bytes | None) -> tuple[int, int]:
    """-> status, and how many MiB of an endless body the app in the middle has read."""
    read, sent = [], []

    async def receive():
        read.append(MIB)
        assert len(read) < 100
        return {"type": "http.request", "body": bytes(MIB), "more_body": True}

    async def send(message):
        sent.append(message)

    async def app(scope, receive, send):
        while (await receive()).get("more_body"):
            pass

    headers = [(b"content-length", length)] if length else []
    scope = {"type": "http", "method": "POST", "path": path, "headers": headers, "query_string": b""}
    asyncio.run(Door(app, lambda _name: True, {})(scope, receive, send))
    return sent[0]["status"], len(read)


def test_an_endless_body_is_read_to_its_limit_and_no_further():
    assert requests_read("/gradio_api/upload", None) == (413, 13)
    assert requests_read("/gradio_api/queue/join", None) == (413, 2)
    assert requests_read("/behind/a/proxy/gradio_api/upload", None) == (413, 13)


@pytest.mark.parametrize("length", [b"99999999999", b"9" * 5000, b"-1", b"many"])
def test_nothing_is_read_of_a_body_announced_as_too_large(length):
    assert requests_read("/gradio_api/upload", length) == (413, 0)


def test_uploads_are_refused_while_the_disk_is_full(client, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _path: SimpleNamespace(free=MIB))
    answer = client.post("/gradio_api/upload", files={"files": ("a.jpg", b"data")})
    assert (answer.status_code, "example" in answer.json()["detail"]) == (503, True)
    assert call(client, "still here", "echo") == ("complete", ["still here"])


# Cut off


def send_raw(client: httpx.Client, head: str, body: bytes) -> socket.socket:
    connection = socket.create_connection((client.base_url.host, client.base_url.port))
    connection.sendall(f"{head}\r\nHost: localhost\r\n\r\n".encode() + body)
    return connection


def test_a_body_that_comes_too_slowly_is_broken_off_and_its_file_deleted(server, client, monkeypatch):
    monkeypatch.setattr("jpegdl.server.door.START_SECONDS", 1)
    before = files_in(server.folder)
    head = f"POST /gradio_api/upload HTTP/1.1\r\nContent-Length: {MIB}\r\nContent-Type: {FORM['content-type']}"
    with send_raw(client, head, form((A_FILE, MIB))[:1000]) as connection:
        wait_until(lambda: files_in(server.folder) != before)
        connection.settimeout(10)
        answer = b"".join(iter(lambda: connection.recv(4096), b""))  # until the server closes it
    assert b" 408 " in answer.splitlines()[0]
    assert b"too slowly" in answer
    wait_until(lambda: files_in(server.folder) == before)


def test_a_slow_but_steady_upload_is_taken(client, monkeypatch):
    monkeypatch.setattr("jpegdl.server.door.START_SECONDS", 1)
    whole = form((A_FILE, 60_000))

    def slowly() -> Iterator[bytes]:
        for start in range(0, len(whole), 10_000):
            yield whole[start : start + 10_000]
            time.sleep(0.4)  # 25 kB a second

    assert client.post("/gradio_api/upload", content=slowly(), headers=FORM).status_code == 200


def test_a_stream_of_messages_may_take_as_long_as_it_takes(client, monkeypatch):
    monkeypatch.setattr("jpegdl.server.door.START_SECONDS", 0.2)
    with client.stream("GET", "/gradio_api/heartbeat/somebody") as stream:
        lines = stream.iter_lines()
        next(lines)
        time.sleep(0.5)
        assert stream.is_closed is False
    assert call(client, "still here", "echo") == ("complete", ["still here"])


@pytest.mark.parametrize("cut", [-20, -10, 200], ids=["the last boundary", "half of it", "most of it"])
def test_an_upload_without_its_last_boundary_is_refused_and_leaves_no_file(server, client, cut):
    before = files_in(server.folder)
    answer = client.post("/gradio_api/upload", content=form((A_FILE, 1000))[:cut], headers=FORM)
    assert answer.status_code == 400
    assert files_in(server.folder) == before


def test_a_form_that_breaks_the_progress_bar_is_refused_and_leaves_no_file(server, client):
    before = files_in(server.folder)
    body = form((A_FILE, 1000), ('name="no-file"', 10))
    answer = client.post("/gradio_api/upload?upload_id=abc", content=body, headers=FORM)
    assert (answer.status_code, "load the page again" in answer.json()["detail"]) == (400, True)
    assert files_in(server.folder) == before


def test_a_disk_that_fills_up_meanwhile_is_said_in_a_sentence(server, client, monkeypatch):
    async def no_space(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    before = files_in(server.folder)
    with monkeypatch.context() as patch:
        patch.setattr("gradio.route_utils.GradioUploadFile.write", no_space)
        answer = client.post("/gradio_api/upload", files={"files": ("a.jpg", b"data")})
    assert (answer.status_code, "no space" in answer.json()["detail"]) == (503, True)
    assert files_in(server.folder) == before
    assert upload(client, b"there is room again")


@pytest.mark.parametrize("ranges", ["bytes=0-1,5-6", "bytes=0-0," * 500 + "1-2"])
def test_many_ranges_of_a_file_are_refused_and_one_is_served(client, ranges):
    path = upload(client, b"0123456789")
    url = f"/gradio_api/file={path}"
    assert client.get(url, headers={"range": ranges}).status_code == 416
    assert client.get(url, headers={"range": "bytes=2-4"}).content == b"234"


@pytest.mark.parametrize("origin", ["https://example.com", "null", "http://localhost:1234"])
def test_a_foreign_page_may_ask_only_as_nobody(client, origin):
    for answer in (
        client.get("/config", headers={"origin": origin, "host": "explorer.example"}),
        client.options("/config", headers={"origin": origin, "access-control-request-method": "GET"}),
    ):
        assert "access-control-allow-credentials" not in answer.headers


def test_alive_and_ready_are_told_to_proxies(server, client, monkeypatch):
    assert (client.get("/healthz").status_code, client.get("/readyz").status_code) == (200, 200)
    monkeypatch.setattr(server.demo._queue, "draining", True)
    assert (client.get("/healthz").status_code, client.get("/readyz").status_code) == (200, 503)
    assert "restarted" in client.get("/readyz").json()["reason"]
    assert (
        client.post("/gradio_api/queue/join", json={"data": ["a"], "fn_index": 1, "session_hash": "b"}).status_code
        == 503
    )


def test_an_upload_that_is_cut_off_leaves_no_file(server, client):
    before = files_in(server.folder)
    start = form((A_FILE, 3 * MIB))[: 2 * MIB]
    head = f"POST /gradio_api/upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: {3 * MIB}\r\n"
    with socket.create_connection((client.base_url.host, client.base_url.port)) as connection:
        connection.sendall(f"{head}Content-Type: {FORM['content-type']}\r\n\r\n".encode() + start)
        wait_until(lambda: files_in(server.folder) != before)
    wait_until(lambda: files_in(server.folder) == before)


def wait_until(condition) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


# Files and addresses that are not the visitor's


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/file=/etc/passwd",
        "/gradio_api/file=/proc/self/environ",
        f"/gradio_api/file={Path(__file__)}",
        f"/gradio_api/file={ROOT / 'jpegdl/server/serving.py'}",
        "/gradio_api/file=..%2f..%2f..%2f..%2fetc%2fpasswd",
        "/gradio_api/file=file:///etc/passwd",
        "/gradio_api/file=http://127.0.0.1/secret",
        "/gradio_api/file=HTTPS://example.com/secret",
        "/gradio_api/file=http://example.com/gradio_api/upload",
        "/gradio_api/proxy=http://example.com/",
        "/gradio_api/deep_link?session_hash=abc",
        "/gradio_api/process_recording",
        "/gradio_api/vibe-code",
        "/gradio_api/dev/reload",
        "/static/..%2f..%2fapp.py",
        "/assets/..%2f..%2f..%2f..%2fetc%2fpasswd",
        "/monitoring",
        "/monitoring/summary",
        "/gradio_api/runs",
    ],
)
def test_nothing_is_served_that_is_not_for_visitors(client, other_hosts, path):
    assert client.get(path).status_code in (403, 404)
    assert other_hosts == []


@pytest.mark.parametrize("marked", [True, False], ids=["marked as a file", "unmarked"])
@pytest.mark.parametrize("path", ["/etc/passwd", str(ROOT / "jpegdl/server/serving.py"), "../../etc/passwd", "/"])
def test_a_forged_path_is_refused_without_naming_it(client, path, marked):
    kind, error = call(client, file_data(path) if marked else {"path": path})
    assert kind == "error"
    assert error["error"] in (None, UNREADABLE)  # None: Gradio's own check, shown as "Error"


@pytest.mark.parametrize("event", ["analyse", "echo"])
def test_an_address_instead_of_a_file_is_not_fetched(client, other_hosts, event):
    asked: list[str] = []

    class Secret(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)

    with http.server.HTTPServer(("127.0.0.1", 0), Secret) as private:
        threading.Thread(target=private.serve_forever, daemon=True).start()
        for url in (f"http://127.0.0.1:{private.server_port}/secret.jpg", "https://example.com/a.jpg"):
            kind, error = call(client, file_data(url), event)
            assert (kind, "upload" in error["error"]) == ("error", True)
        private.shutdown()
    assert (asked, other_hosts) == ([], [])


@pytest.mark.parametrize("value", ["text", 5, [], {"url": "data:image/png;base64,AAAA"}, {"path": None}])
def test_a_value_that_is_no_file_is_refused(client, value):
    assert call(client, value)[0] == "error"


def test_a_call_that_would_pass_the_queue_by_is_refused(client):
    for path in ("/gradio_api/run/echo", "/gradio_api/api/echo"):
        answer = client.post(path, json={"data": ["hello"]})
        assert answer.status_code == 404, path
        assert "queue" in answer.json()["detail"]
    assert call(client, "hello", "echo") == ("complete", ["hello"])


def test_serving_asks_no_other_host(server, other_hosts):
    server.client.get("/")
    assert other_hosts == []


# Settings


def test_host_and_port_are_left_to_the_environment():
    assert {"server_name", "server_port"}.isdisjoint(launch_settings())


def run_python(code: str, **environment: str) -> str:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GRADIO_", "CPU_", "OMP_"))}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env={**kept, **environment}, capture_output=True, text=True, timeout=150
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_upload_folder_is_private_and_gone_when_the_process_ends():
    code = """
import os, stat, threading
from jpegdl.server.environment import prepare_environment
folder = prepare_environment()
assert folder == prepare_environment() and stat.S_IMODE(folder.stat().st_mode) == 0o700
if os.fork() == 0:
    raise SystemExit  # a child's end must not remove it
os.wait()
assert folder.exists()
print(folder, os.environ["GRADIO_ANALYTICS_ENABLED"], os.environ["OMP_NUM_THREADS"])
"""
    folder, analytics, threads = run_python(code, CPU_CORES="3").split()
    assert (analytics, threads) == ("False", "3")
    assert not Path(folder).exists()


def test_the_folder_lies_where_the_environment_says_and_what_was_set_outside_is_kept(tmp_path):
    code = """
import os
from jpegdl.server.environment import prepare_environment
print(prepare_environment(), os.environ["OMP_NUM_THREADS"])
"""
    folder, threads = run_python(code, GRADIO_TEMP_DIR=str(tmp_path), OMP_NUM_THREADS="7").split()
    assert (Path(folder).parent, threads) == (tmp_path, "7")
    assert list(tmp_path.iterdir()) == []


def test_a_place_where_no_folder_can_be_made_is_named_in_a_sentence(tmp_path):
    (tmp_path / "file").touch()
    code = "from jpegdl.server.environment import prepare_environment; prepare_environment()"
    place = tmp_path / "file" / "folder"
    environment = {**os.environ, "GRADIO_TEMP_DIR": str(place)}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    said = f"No folder can be made in {place} (Not a directory); name another place: GRADIO_TEMP_DIR=FOLDER.\n"
    assert done.stderr == said


def test_preparing_after_gradio_was_imported_is_an_error():
    code = """
import sys
sys.modules["gradio"] = sys
from jpegdl.server.environment import prepare_environment
try:
    prepare_environment()
except RuntimeError as error:
    print(error)
"""
    assert "call it before" in run_python(code)


# ZeroGPU


def test_without_the_spaces_package_the_gpu_decorator_changes_nothing():
    code = """
import sys
sys.modules["spaces"] = None
from jpegdl.server.zerogpu import ON_ZEROGPU, gpu
print(gpu(max) is max, ON_ZEROGPU, "torch" in sys.modules)
"""
    assert run_python(code, SPACES_ZERO_GPU="true") == "True False False"


def test_on_zerogpu_a_call_asks_for_the_seconds_of_its_request_and_not_for_the_default_minute():
    code = """
import sys, types
asked = []
fake = types.ModuleType("spaces")
fake.GPU = lambda duration: lambda function: lambda request: (asked.append(duration(request)), function(request))[1]
sys.modules["spaces"] = fake
from jpegdl.server.zerogpu import ON_ZEROGPU, gpu
request = types.SimpleNamespace(seconds=7)
print(gpu(lambda request: "on gpu")(request), asked, ON_ZEROGPU)
"""
    assert run_python(code, SPACES_ZERO_GPU="true") == "on gpu [7] True"
