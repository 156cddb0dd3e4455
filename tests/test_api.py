"""The API as a stranger uses it: gradio_client against a running server, every endpoint, every setting it lists."""

import errno
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
import numpy as np
import pytest
from gradio.utils import get_upload_folder
from gradio_client import Client, handle_file  # type: ignore[import-untyped]
from gradio_client.exceptions import AppError  # type: ignore[import-untyped]
from PIL import Image

from jpegdl.analysis.answers import Answers
from jpegdl.analysis.numbers import named_tables
from jpegdl.analysis.panels import NAMES, learned_file, panels
from jpegdl.analysis.request import Answer, Request, answer, make_request
from jpegdl.pairs.architectures import ARCHITECTURES, Architecture
from jpegdl.pairs.checkpoints import ModelPair
from jpegdl.server.environment import results_folder
from jpegdl.server.serving import serve
from jpegdl.ui.api import Endpoints, offer_api
from tests.conftest import unused_port
from tests.tiny import TINY, add_tiny, smooth_picture, tiny_network, tiny_pair

OTHER = "tiny with other stages"
ENDPOINTS = ["/compare", "/draw", "/pairs", "/tables"]


@pytest.fixture(scope="module")
def pairs(tmp_path_factory) -> Iterator[dict[str, ModelPair]]:
    """Two pairs whose stages and classes have other names."""
    folder = tmp_path_factory.mktemp("pairs")
    with pytest.MonkeyPatch.context() as patch:
        add_tiny(patch)
        patch.setitem(ARCHITECTURES, OTHER, Architecture(build=tiny_network, stages={"first": "1", "deep": "2"}))
        yield {"one": tiny_pair(folder / "one", TINY, 5), "two": tiny_pair(folder / "two", OTHER, 7)}


@pytest.fixture(scope="module")
def server(pairs) -> Iterator[str]:
    draws = {"two": lambda seed: (smooth_picture(20, 20 + seed % 7), "class 6")}

    def run(request: Request) -> Answer:
        return answer(pairs, request)

    with gr.Blocks() as demo:
        offer_api(demo, Endpoints(pairs, Answers(run), results_folder(), draws))
    _, url, _ = serve(demo, seconds_per_analysis=1, server_port=unused_port(), prevent_thread_lock=True, quiet=True)
    yield url
    demo.close()


@pytest.fixture(scope="module")
def client(server) -> Client:
    return Client(server, verbose=False)


@pytest.fixture(scope="module")
def picture(tmp_path_factory) -> Any:
    path = tmp_path_factory.mktemp("pictures") / "mine.png"
    smooth_picture(40, 60).save(path)
    return handle_file(str(path))


def test_every_endpoint_takes_every_value_that_pairs_lists(server, picture):
    client = Client(server, verbose=False, download_files=False)
    described = client.predict(api_name="/pairs")
    assert {facts["pair"] for facts in described} == {"one", "two"}
    for facts in described:
        assert client.predict(facts["pair"], api_name="/tables")[1].keys() == {
            "qtables.txt",
            "tables.json",
            "learned.csv",
        }
        for stage in facts["stages"]:
            for target in (*facts["targets"], facts["classes"][-1]):
                for quantizer in facts["quantizers"]:
                    numbers, files = client.predict(
                        picture,
                        pair=facts["pair"],
                        target=target,
                        true_class=facts["classes"][1],
                        stage=stage,
                        quantizer=quantizer,
                        api_name="/compare",
                    )
                    asked = {
                        "target": target,
                        "true_class": facts["classes"][1],
                        "stage": stage,
                        "quantizer": quantizer,
                    }
                    assert numbers["settings"] == asked
                    assert tuple(files) == NAMES


@pytest.mark.parametrize("name", ["one", "two"])
def test_a_picture_and_a_pair_are_enough_and_the_pairs_own_last_stage_is_explained(client, pairs, picture, name):
    numbers, files = client.predict(picture, name, api_name="/compare")
    pair = pairs[name]
    stages = list(ARCHITECTURES[pair.card.architecture].stages)
    assert numbers["settings"] == {
        "target": "shared",
        "true_class": None,
        "stage": stages[-1],
        "quantizer": "five levels",
    }
    found = answer(pairs, make_request(pair.card, smooth_picture(40, 60)))
    for file, data in panels(found, learned_file(pair, found)).items():
        assert Path(files[file]).name == file
        assert Path(files[file]).read_bytes() == data


def test_tables_are_the_pairs_numbers_and_files_for_other_programs(client, pairs):
    numbers, files = client.predict("two", api_name="/tables")
    for name, table in named_tables(pairs["two"]).items():
        assert np.array_equal(np.asarray(numbers[name], dtype=table.dtype), table)
    assert "frequency" in Path(files["qtables.txt"]).read_text(encoding="utf-8")
    assert Path(files["learned.csv"]).read_text(encoding="utf-8").startswith("table,row,column,step")


def test_a_draw_is_repeated_by_its_seed(client):
    numbers, files = client.predict("two", api_name="/draw")
    again, same = client.predict("two", numbers["seed"], api_name="/draw")
    assert again == numbers
    assert numbers["true_class"] == "class 6"
    assert Path(same["picture.png"]).read_bytes() == Path(files["picture.png"]).read_bytes()
    with Image.open(files["picture.png"]) as drawn:
        assert drawn.size == (20 + numbers["seed"] % 7, 20)


# Refusals


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"pair": "three"}, "There is no pair 'three'; there are: 'one', 'two'."),
        ({"pair": None}, "There is no pair None; there are: 'one', 'two'."),
        ({"pair": ["one"]}, "There is no pair ['one']; there are: 'one', 'two'."),
        ({"pair": "<b>one & two</b>"}, "There is no pair '<b>one & two</b>'; there are: 'one', 'two'."),
        ({"stage": "deep"}, "There is no stage 'deep'; there are: 'early', 'last'."),
        ({"quantizer": "Five levels, as trained"}, "There is no quantizer 'Five levels, as trained'; "),
        ({"target": "class 6"}, "There is no target 'class 6'; there are: 'shared', 'true', 'own', 'class 0', "),
        ({"target": "true"}, "which class that is was not said"),
        ({"target": {"a": [1]}}, "There is no target {'a': [1]}; "),
        ({"true_class": "not known"}, "There is no class 'not known'; there are: 'class 0', "),
    ],
)
def test_what_the_named_pair_does_not_have_is_refused_by_name_without_entities(client, picture, settings, sentence):
    with pytest.raises(AppError) as refused:
        client.predict(picture, **{"pair": "one", **settings}, api_name="/compare")
    assert sentence in str(refused.value)
    assert "&amp;" not in str(refused.value)
    assert "&#" not in str(refused.value)


@pytest.mark.parametrize(
    ("sent", "sentence"),
    [
        (None, "no picture yet"),
        ("assets/examples/iris.jpg", "handle_file(PATH)"),
        (3, "handle_file(PATH)"),
        ({"path": "/etc/passwd"}, "can no longer be read"),
        ({"path": "../../etc/passwd"}, "can no longer be read"),
        ({"path": "a\0b"}, "can no longer be read"),
        ({"path": 7}, "handle_file(PATH)"),
        ({}, "handle_file(PATH)"),
    ],
)
def test_what_is_no_file_that_was_sent_is_refused_in_one_sentence(client, sent, sentence):
    with pytest.raises(AppError) as refused:
        client.predict(sent, "one", api_name="/compare")
    assert sentence in str(refused.value)
    assert "/etc" not in str(refused.value)


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("/etc/passwd", "can no longer be read; upload the picture again"),
        ("swept an hour ago.png", "can no longer be read; upload the picture again"),
        (f"{get_upload_folder()}/0123/swept.png", "can no longer be read; upload the picture again"),
        ("http://127.0.0.1:1/a.png", "fetches nothing from other servers"),
    ],
    ids=["outside", "a name alone", "in the upload folder", "on another server"],
)
def test_a_file_object_without_its_file_is_refused_in_one_sentence(server, path, sentence):
    """As another program than gradio_client may send it, which uploads what it names."""
    sent = {"path": path, "meta": {"_type": "gradio.FileData"}}
    with httpx.Client(base_url=server, timeout=30) as raw:
        joined = raw.post("gradio_api/call/compare", json={"data": [sent, "one", "shared", None, None, "five levels"]})
        answer = raw.get(f"gradio_api/call/compare/{joined.json()['event_id']}").text
    assert answer.startswith("event: error")
    assert sentence in answer


def test_a_file_that_is_no_picture_is_refused_in_one_sentence(client, tmp_path):
    (tmp_path / "a.txt").write_text("no picture", encoding="utf-8")
    with pytest.raises(AppError, match="not a JPEG, PNG or WebP picture"):
        client.predict(handle_file(str(tmp_path / "a.txt")), "one", api_name="/compare")


@pytest.mark.parametrize(
    ("pair", "seed", "sentence"),
    [
        ("one", 3, "The test pictures of 'one' are not on this machine"),
        ("two", -1, "whole number 0..999999, got -1"),
        ("two", "x", "whole number 0..999999, got 'x'"),
        ("two", 1.5, "whole number 0..999999, got 1.5"),
        ("three", 3, "There is no pair 'three'"),
    ],
)
def test_a_draw_that_cannot_be_is_refused_in_one_sentence(client, pair, seed, sentence):
    with pytest.raises(AppError) as refused:
        client.predict(pair, seed, api_name="/draw")
    assert sentence in str(refused.value)


# What view_api() says


def test_the_description_reads_in_plain_words(client):
    said = client.view_api(print_info=False, return_format="str")
    assert [line.split('api_name="')[1].split('"')[0] for line in said.splitlines() if "api_name=" in line] == [
        "/pairs",
        "/tables",
        "/compare",
        "/draw",
    ]
    assert "predict(picture, pair, target, true_class, stage, quantizer, " in said
    assert 'api_name="/compare") -> (numbers, files)' in said
    for odd in ("value_", "partial", "param_", "function", "lambda"):
        assert odd not in said


def test_every_endpoint_says_what_it_gives(client):
    described = client.view_api(print_info=False, return_format="dict")["named_endpoints"]
    assert sorted(described) == ENDPOINTS
    for name, endpoint in described.items():
        assert len(endpoint["description"]) > 40, name
        assert "partial" not in endpoint["description"]


def test_a_call_is_remembered_when_the_same_picture_was_asked_with_the_same_settings(pairs, tmp_path, monkeypatch):
    monkeypatch.setattr("jpegdl.ui.api.get_upload_folder", lambda: str(tmp_path))
    asked = []

    def run(request: Request) -> Answer:
        asked.append(request)
        return answer(pairs, request)

    for name, size in (("mine", 40), ("same bytes", 40), ("other", 41)):
        smooth_picture(size, 60).save(tmp_path / f"{name}.png")
    sent: dict[str, Any] = {name: {"path": str(tmp_path / f"{name}.png")} for name in ("mine", "same bytes", "other")}
    endpoints = Endpoints(pairs, Answers(run), tmp_path, {})
    call: list[Any] = ["one", "shared", None, None, "five levels"]
    assert not endpoints.is_remembered("compare", [sent["mine"], *call])
    endpoints.compare(sent["mine"], *call)
    assert endpoints.is_remembered("compare", [sent["mine"], *call])
    assert endpoints.is_remembered("compare", [sent["same bytes"], *call])
    others: list[list[Any]] = [
        [sent["other"], *call],
        [sent["mine"], "two", *call[1:]],
        [sent["mine"], *call[:-1], "all levels"],
        [sent["mine"]],
        [None, *call],
        [sent["mine"], "no pair", *call[1:]],
        [{"path": 7}, [], {}, 1, 2, 3],
    ]
    assert not any(endpoints.is_remembered("compare", values) for values in others)
    assert not endpoints.is_remembered("ask", [sent["mine"], *call])
    assert len(asked) == 1


def test_a_disk_that_fills_while_files_are_written_is_said_in_a_sentence(pairs, tmp_path, monkeypatch):
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("jpegdl.server.results.tempfile.mkstemp", full)
    with pytest.raises(gr.Error, match="no space for result files now; try again"):
        Endpoints(pairs, Answers(lambda request: answer(pairs, request)), tmp_path, {}).tables("one")
