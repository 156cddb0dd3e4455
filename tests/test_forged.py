"""A thousand forged requests leave the service answering, say nothing of the server, and fill no log."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import gradio as gr
import httpx
import pytest
from gradio.events import api
from gradio.utils import get_upload_folder

from jpegdl.server.decoding import Decoders
from jpegdl.server.serving import serve
from tests.conftest import unused_port
from tests.load.forged import storm
from tests.visitors import Visitor, fn_index


@pytest.fixture(scope="module")
def app() -> Iterator[SimpleNamespace]:
    def ask(state: dict[str, Any]) -> dict[str, Any]:
        """As the page's private function: JSON in, JSON out."""
        return {"pair": state["pair"]} if isinstance(state, dict) and "pair" in state else {"refused": "no"}

    def compare(picture: Any, pair: str, target: str = "shared") -> dict[str, Any]:
        """As the API's."""
        if not isinstance(pair, str):
            raise gr.Error("no", print_exception=False)
        return {"pair": pair, "target": target}

    with gr.Blocks() as demo:
        gr.Textbox()
        api(ask, api_name="ask", api_visibility="private", concurrency_id="networks", concurrency_limit=1)
        api(ask, api_name="glance", api_visibility="private", queue=False)
        api(compare, api_name="compare", concurrency_id="networks", concurrency_limit=1)
    options: dict[str, Any] = {"server_port": unused_port(), "prevent_thread_lock": True, "quiet": True}
    decoders = Decoders([(32, 32)])
    _, url, _ = serve(demo, seconds_per_analysis=0.1, decoders=decoders, **options)
    with httpx.Client(base_url=url, timeout=20) as client:
        yield SimpleNamespace(client=client, decoders=decoders)
    demo.close(verbose=False)


def test_a_thousand_forged_requests_leave_the_service_answering(app, capfd):
    statuses = storm(app.client, 1000)
    printed = capfd.readouterr()
    assert {status for status in statuses if status >= 500} == set(), statuses
    assert "Traceback" not in printed.out + printed.err
    assert app.client.get("/readyz").status_code == 200
    answer = Visitor(app.client).ask(fn_index(app.client, "ask"), [{"pair": "still here"}])
    assert answer["output"]["data"] == [{"pair": "still here"}]


def test_one_call_has_one_picture_decoded_however_many_it_names(app, monkeypatch):
    asked: list[str | None] = []
    expect = app.decoders.expect

    def counted(path: str | None) -> Any:
        asked.append(path)
        return expect(path)

    monkeypatch.setattr(app.decoders, "expect", counted)
    names = [{"path": f"{get_upload_folder()}/{'./' * number}photo.jpg"} for number in range(40)]
    Visitor(app.client).join(fn_index(app.client, "compare"), [names, "pair", "shared"])
    assert asked == [names[0]["path"]]
