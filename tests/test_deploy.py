"""What lies in deploy/ and the Dockerfile, tried as far as a machine without Docker allows."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest

from deploy import space
from tests.conftest import unused_port
from tests.running import is_listening, wait_until
from tests.test_start import app
from tests.visitors import Visitor, fn_index

ROOT = Path(__file__).parents[1]
MIB = 2**20


@contextmanager
def nginx(folder: Path, replicas: list[str]) -> Iterator[str]:
    """deploy/nginx.conf on a free port, before servers at these addresses; nothing of the system's nginx is used."""
    if not (program := shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/bin")):
        pytest.skip("no nginx is installed")
    port = unused_port()
    site = (ROOT / "deploy" / "nginx.conf").read_text(encoding="utf-8")
    servers = "".join(f"server {address};" for address in replicas)
    site, number = re.subn(r"server 127\.0\.0\.1:7861;\s+server 127\.0\.0\.1:7862;", servers, site)
    assert number == 1
    site = site.replace("listen 8080;", f"listen 127.0.0.1:{port};")
    paths = "".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"pid {folder}/nginx.pid; error_log {folder}/error.log; daemon off; worker_processes 1;\n"
        f"events {{ worker_connections 256; }}\nhttp {{ access_log {folder}/access.log; {paths}\n{site}\n}}\n",
        encoding="utf-8",
    )
    process = subprocess.Popen([program, "-p", str(folder), "-c", str(folder / "nginx.conf")])
    try:
        wait_until(lambda: is_listening(port))
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


@contextmanager
def caddy(folder: Path, replicas: list[str]) -> Iterator[str]:
    """deploy/Caddyfile on a free port, without a certificate, before servers at these addresses."""
    if not (program := shutil.which("caddy")):
        pytest.skip("no Caddy is installed")
    port = unused_port()
    site = (ROOT / "deploy" / "Caddyfile").read_text(encoding="utf-8")
    site, names = re.subn(r"(?m)^explorer\.example\.org ", f"http://127.0.0.1:{port} ", site)
    site, servers = re.subn(r"127\.0\.0\.1:7861 127\.0\.0\.1:7862", " ".join(replicas), site)
    assert (names, servers) == (1, 1)
    (folder / "Caddyfile").write_text("{\n\tadmin off\n}\n" + site, encoding="utf-8")
    environment = os.environ | {"XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    command = [program, "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: is_listening(port))
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="module")
def replicas(tmp_path_factory) -> Iterator[dict[Path, str]]:
    """The folders of two running apps and their addresses."""
    places = [tmp_path_factory.mktemp(name) for name in ("first", "second")]
    with app(places[0]) as first, app(places[1]) as second:
        urls = [running.client.base_url for running in (first, second)]
        yield {place: f"{url.host}:{url.port}" for place, url in zip(places, urls, strict=True)}


@pytest.mark.parametrize("proxy", [nginx, caddy])
def test_behind_a_proxy_each_visitor_stays_with_one_of_two_replicas_and_is_answered(tmp_path, replicas, proxy):
    with proxy(tmp_path, list(replicas.values())) as url:
        folders: list[Path] = []
        while len(folders) < 8 or (set(folders) != set(replicas) and len(folders) < 80):  # chosen by chance
            with httpx.Client(base_url=url, timeout=30, trust_env=False) as client:
                client.get("/")
                for _ in range(2):
                    answer = Visitor(client).ask(fn_index(client, "work"), ["0"])
                    path = answer["output"]["data"][0]["path"]
                    assert client.get(f"/gradio_api/file={path}").text == "0"
                    folders.append(Path(path).parents[2].parent)
                assert folders[-1] == folders[-2]
        assert set(folders) == set(replicas)

        with httpx.Client(base_url=url, timeout=30, trust_env=False) as client:
            assert client.post("/gradio_api/upload", content=bytes(13 * MIB)).status_code == 413
            assert client.get("/readyz").status_code == 200
            assert "jx_replica=" in client.get("/").headers.get("set-cookie", "jx_replica=")
            assert "127.0.0.1:786" not in client.get("/config").text


def test_the_dockerfile_copies_what_there_is_and_starts_the_app_as_nobody():
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    copied = [line.split()[1] for line in lines if line.startswith("COPY")]
    assert all((ROOT / name).exists() for name in copied)
    kept = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert {f"!{name}" for name in copied} == {line for line in kept if line.startswith("!")}
    assert [line for line in lines if line.startswith("USER")] == ["USER 10001"]
    assert lines[-1] == 'CMD ["python", "app.py"]'  # not by a shell, which would keep SIGTERM to itself


@contextmanager
def answering(status: int) -> Iterator[int]:
    """A server on a port of its own that gives every path this status."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def test_the_health_check_of_the_dockerfile_asks_the_server_itself():
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    command = re.search(r"HEALTHCHECK .*CMD \[(.*)\]", text)
    assert command is not None
    program, option, code = shlex.split(command[1].replace(",", " ", 2))
    assert (program, option) == ("python", "-c")
    compile(code, "HEALTHCHECK", "exec")
    for status, answer in ((0, 200), (1, 503)):  # on whatever port, and past a proxy of the machine
        with answering(answer) as port:
            given = {"GRADIO_SERVER_PORT": str(port), "http_proxy": "http://127.0.0.1:9"}
            done = subprocess.run([sys.executable, "-c", code], env=given, capture_output=True, timeout=60)
            assert done.returncode == status


@pytest.fixture(scope="module")
def imported(tmp_path_factory) -> tuple[Path, list[str]]:
    """The COPY steps in an empty folder, where the app is imported with nothing else of this one on the path: that
    folder; what the app calls its own, and whether scipy's statistics came with it."""
    folder = tmp_path_factory.mktemp("image")
    for line in (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines():
        if line.startswith("COPY"):
            _, source, target = line.split()
            copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copy
            if source != "checkpoints":
                place = folder / target if target != "./" else folder / source
                place.parent.mkdir(parents=True, exist_ok=True)
                copy(ROOT / source, place)
    code = "import sys, app, jpegdl.server.decoder; print(app.ROOT); print('scipy.stats' in sys.modules)"
    code += "; from jpegdl.ui.evidence import gather_evidence; print(len(gather_evidence([]).runs))"
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout.split()


def test_what_the_image_holds_is_enough_to_import_the_app(imported):
    folder, (root, _, _) = imported
    assert root == str(folder)


def test_the_image_holds_the_runs_without_weights_that_verdicts_name_as_controls(imported):
    assert int(imported[1][2]) == len(list((ROOT / "docs" / "results").glob("*.json"))) > 0


def test_the_app_is_imported_without_scipys_statistics(imported):
    """They cost a second of each start; jpegdl/pairs/chances.py has the four that are needed."""
    assert imported[1][1] == "False"


# The Space


def repository(folder: Path, **files: bytes) -> Path:
    for name, data in {"app.py": b"1", "README.md": b"2", "requirements.txt": b"3", **files}.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "all")
    return folder


def git(folder: Path, *command: str) -> None:
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run(["git", "-C", str(folder), *who, *command], check=True)


def test_the_space_gets_committed_files_of_the_app_and_nothing_else(tmp_path):
    here = repository(tmp_path, jpegdl__a=b"a", tests__t=b"t", runs__r=b"r", **{".ci__run": b"c"})
    (here / "jpegdl" / "__pycache__").mkdir()
    (here / ".gitignore").write_text("__pycache__\n", encoding="utf-8")
    (here / "jpegdl" / "__pycache__" / "a.pyc").write_bytes(b"")
    assert space.files_to_send(here) == ["README.md", "app.py", "jpegdl/a", "requirements.txt"]


def test_what_is_not_committed_is_named_and_nothing_is_sent(tmp_path):
    here = repository(tmp_path, jpegdl__a=b"a")
    (here / "jpegdl" / "a").write_bytes(b"b")
    with pytest.raises(SystemExit, match="jpegdl/a"):
        space.files_to_send(here)


def test_a_pointer_in_place_of_weights_is_named(tmp_path):
    here = repository(tmp_path, checkpoints__a=b"version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(SystemExit, match="checkpoints/a is a pointer"):
        space.files_to_send(here)


def test_a_dry_run_says_every_file_and_the_whole_size_and_sends_nothing(capsys, monkeypatch):
    monkeypatch.setattr(
        space, "git", lambda root, *command: "app.py\0README.md\0requirements.txt" * ("ls-files" in command)
    )
    monkeypatch.setattr(sys, "argv", ["space", "owner/name", "--dry-run"])
    monkeypatch.setattr(space, "send", lambda *_: pytest.fail("sent"))
    space.main()
    said = capsys.readouterr().out
    size = sum((ROOT / name).stat().st_size for name in ("app.py", "README.md", "requirements.txt"))
    assert f"{size:,}  bytes in 3 files for owner/name" in said
    assert "Nothing was sent." in said
