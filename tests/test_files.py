"""The route of the page's own files: addresses by content, types, caching, and nothing outside the folder."""

import gzip
import os
from collections.abc import Iterator

import gradio as gr
import httpx
import pytest

from jpegdl.server.files import PageFiles, page_files
from jpegdl.server.serving import serve
from tests.conftest import unused_port

TABLE = b"import {x} from './ruler.js';\n" * 40


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> PageFiles:
    folder = tmp_path_factory.mktemp("static")
    (folder / "viewer").mkdir()
    (folder / "viewer" / "table.js").write_bytes(TABLE)
    (folder / "viewer" / "ruler.js").write_bytes(b"export const x = 1;")
    (folder / "page.css").write_bytes(b"p {}")
    (folder / "about.md").write_bytes(b"not served")
    (folder.parent / "secret.js").write_bytes(b"outside")
    return page_files(folder)


@pytest.fixture(scope="module", params=["", "/behind/a/proxy"], ids=["at the root", "under a root path"])
def client(request, files) -> Iterator[httpx.Client]:
    with gr.Blocks() as demo:
        gr.Textbox()
    options = {"server_port": unused_port(), "prevent_thread_lock": True, "quiet": True, "root_path": request.param}
    _, url, _ = serve(demo, seconds_per_analysis=0.1, files=files, **options)
    with httpx.Client(base_url=url, timeout=30) as client:
        yield client
    demo.close(verbose=False)


def test_a_module_is_served_with_its_type_for_a_year(client, files):
    answer = client.get(files.address("viewer/table.js"))
    assert answer.content == TABLE
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer.headers
    assert client.get(files.address("page.css")).headers["content-type"] == "text/css; charset=utf-8"


def test_the_neighbour_that_a_module_imports_lies_next_to_it(client, files):
    page = httpx.URL(str(client.base_url))
    module = page.join(files.address("viewer/table.js"))
    assert client.get(module.join("./ruler.js")).content == b"export const x = 1;"


def test_a_proxy_that_keeps_its_prefix_gets_the_file_too(client, files):
    assert client.get(f"/behind/a/proxy/{files.address('page.css')}").content == b"p {}"


def test_text_is_sent_compressed_to_those_who_accept_it(client, files):
    with client.stream("GET", files.address("viewer/table.js"), headers={"accept-encoding": "gzip"}) as answer:
        raw = b"".join(answer.iter_raw())
    assert len(raw) < len(TABLE)
    assert gzip.decompress(raw) == TABLE
    plain = client.get(files.address("viewer/table.js"), headers={"accept-encoding": "identity"})
    assert (plain.content, "content-encoding" in plain.headers) == (TABLE, False)


def test_head_has_no_body_and_other_methods_are_refused(client, files):
    assert client.head(files.address("page.css")).content == b""
    assert client.post(files.address("page.css"), content=b"x").status_code == 405


@pytest.mark.parametrize(
    "name",
    ["about.md", "../secret.js", "..%2fsecret.js", "viewer/..%2f..%2fsecret.js", "%2e%2e/secret.js", "/etc/passwd", ""],
)
def test_nothing_else_is_served(client, files, name):
    url = f"{str(client.base_url).rstrip('/')}/jx/{files.version}/{name}"
    answer = client.get(httpx.URL(url))
    assert answer.status_code == 404
    assert "immutable" not in answer.headers.get("cache-control", "")


def test_a_file_of_another_version_is_refused_and_that_is_not_kept(client, files):
    answer = client.get("/jx/0123456789ab/page.css")
    assert (answer.status_code, answer.headers["cache-control"]) == (404, "no-store")


def test_the_version_follows_names_and_content_and_not_times(tmp_path):
    (tmp_path / "a.js").write_bytes(b"1")
    first = page_files(tmp_path).version
    os.utime(tmp_path / "a.js", (0, 0))
    assert page_files(tmp_path).version == first
    (tmp_path / "a.js").write_bytes(b"2")
    second = page_files(tmp_path).version
    (tmp_path / "a.js").rename(tmp_path / "b.js")
    assert len({first, second, page_files(tmp_path).version}) == 3


def test_an_unknown_name_is_an_error_when_the_page_is_built(files):
    with pytest.raises(ValueError, match=r"viewer/table\.js.*got 'viewer/tabel\.js'"):
        files.address("viewer/tabel.js")
