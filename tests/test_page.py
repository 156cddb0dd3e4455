"""The real app as `python app.py` serves it, asked by scripts; nothing here depends on how good the pair is."""

import csv
import dataclasses
import io
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
import numpy as np
import pytest
from gradio_client import Client, handle_file  # type: ignore[import-untyped]
from gradio_client.exceptions import AppError  # type: ignore[import-untyped]
from PIL import Image

from app import make_draws
from jpegdl.analysis.picture import PictureComparison, compare_picture
from jpegdl.codec.jpegfile import STANDARD_TABLES, integer_tables, read_tables
from jpegdl.pairs.architectures import architecture
from jpegdl.pairs.card import card_from_json
from jpegdl.pairs.checkpoints import ModelPair, load_pair, load_pairs
from jpegdl.pairs.classifier import ARMS
from jpegdl.pairs.prepare import prepare
from jpegdl.server.serving import serve
from jpegdl.server.uploads import MISSING, NOT_A_PICTURE, read_upload
from jpegdl.ui.compare import Shown, compare_upload
from jpegdl.ui.menus import AS_TRAINED, FORMULA, OWN, SHARED, TRUE, UNKNOWN, best_illustrated_first
from jpegdl.ui.menus import EXAMPLES as MENU
from jpegdl.ui.page import build_demo
from tests.conftest import EXAMPLES, unused_port
from tests.hostile import hostile_pictures

ROOT = Path(__file__).parents[1]
CHECKPOINTS = ROOT / "checkpoints"
PAIR = "flowers17-resnet18"
PICTURES = [field for field in Shown._fields if field in ("picture", "reconstruction", "decoded", "residual")]
PICTURES += [field for field in Shown._fields if field.startswith(("map_", "difference", "overlay_"))]
SECONDS = 60  # for one answer: other work may keep this machine busy
EXACT = 1e-5


# The app


@dataclass(frozen=True)
class App:
    """A running app: its address, and the folder of its uploads and results."""

    url: str
    folder: Path


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
        assert process.poll() is None, output.read_text()
        yield App(f"http://127.0.0.1:{port}", folder / "temporary")
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


@pytest.fixture(scope="session")
def app(pytestconfig, tmp_path_factory) -> App:
    return shared_app(pytestconfig, tmp_path_factory.mktemp("app"))


@pytest.fixture(scope="session")
def client(app) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=app.url, timeout=SECONDS) as client:
        yield client


@pytest.fixture(scope="session")
def script(app, tmp_path_factory) -> Client:
    """The app as a script sees it, through gradio_client."""
    return Client(app.url, verbose=False, download_files=str(tmp_path_factory.mktemp("downloads")))


@pytest.fixture(scope="session")
def pair() -> ModelPair:
    return load_pair(CHECKPOINTS / PAIR)


@pytest.fixture(scope="session")
def last_stage(pair) -> str:
    return architecture(pair.card.architecture).default_stage


def upload(client: httpx.Client, data: bytes, name: str = "photo.jpg") -> dict[str, Any]:
    answer = client.post("/gradio_api/upload", files={"files": (name, data)})
    assert answer.status_code == 200, answer.text
    return {"path": answer.json()[0], "meta": {"_type": "gradio.FileData"}}


def ask(client: httpx.Client, endpoint: str, *values: Any) -> tuple[str, Any]:
    """-> "complete" and the outputs, or "error" and what the page would show."""
    joined = client.post(f"/gradio_api/call/{endpoint}", json={"data": values})
    assert joined.status_code == 200, joined.text
    lines = client.get(f"/gradio_api/call/{endpoint}/{joined.json()['event_id']}").text.splitlines()
    kind = next(line for line in lines if line.startswith(("event: complete", "event: error")))
    return kind.removeprefix("event: "), json.loads(lines[lines.index(kind) + 1].removeprefix("data: "))


def compare(
    client: httpx.Client,
    picture: Any,
    target: str = SHARED,
    true_class: str = UNKNOWN,
    *,
    stage: str,
    quantizer: str = AS_TRAINED,
) -> Shown:
    kind, values = ask(client, "compare", picture, PAIR, target, true_class, stage, quantizer)
    assert kind == "complete", values
    return Shown(*values)


def fetch(client: httpx.Client, file: dict[str, Any]) -> bytes:
    answer = client.get(file["url"] or f"/gradio_api/file={file['path']}")
    assert answer.status_code == 200, answer.text
    return answer.content


def picture_of(client: httpx.Client, file: dict[str, Any]) -> Image.Image:
    return Image.open(io.BytesIO(fetch(client, file)))


def component(client: httpx.Client, elem_id: str) -> dict[str, Any]:
    """The properties of one component as the browser is told them."""
    components = client.get("/config").json()["components"]
    return next(item["props"] for item in components if item["props"].get("elem_id") == elem_id)


def map_of(numbers: dict[str, Any], arm: str) -> np.ndarray:
    return np.array(numbers["arms"][arm]["map"])


def probabilities_of(numbers: dict[str, Any], arm: str) -> np.ndarray:
    return np.array(list(numbers["arms"][arm]["probabilities"].values()))


def assert_equal_analyses(found: dict[str, Any], expected: dict[str, Any]) -> None:
    for arm in ARMS:
        np.testing.assert_allclose(probabilities_of(found, arm), probabilities_of(expected, arm), atol=EXACT)
        np.testing.assert_allclose(map_of(found, arm), map_of(expected, arm), atol=EXACT)


def assert_is_a_sentence(app: App, error: dict[str, Any]) -> None:
    """What a visitor may be shown: one line, and nothing about the server."""
    text = error["error"]
    assert isinstance(text, str), error
    assert 10 < len(text) < 400, text
    assert "\n" not in text
    for secret in ("Traceback", "Error:", str(ROOT), str(app.folder), "/tmp", ".py"):
        assert secret not in text


# One comparison


@pytest.fixture(scope="session")
def example(client) -> dict[str, Any]:
    return upload(client, (EXAMPLES / "daffodil.jpg").read_bytes(), "daffodil.jpg")


@pytest.fixture(scope="session")
def shown(client, example, last_stage) -> Shown:
    """The app's answer for an example."""
    return compare(client, example, stage=last_stage)


@pytest.fixture(scope="session")
def direct(pair, last_stage) -> PictureComparison:
    """The same comparison, computed here."""
    square = prepare(read_upload(EXAMPLES / "daffodil.jpg").image, pair.card.input_size, pair.card.short_side)
    return compare_picture(pair, square, "shared", stage=last_stage)


@pytest.fixture(scope="session")
def drawn(pair, last_stage, direct, tmp_path_factory) -> Shown:
    """The same comparison, drawn here."""

    def analyse(*_: object) -> PictureComparison:
        return direct

    picture, folder = read_upload(EXAMPLES / "daffodil.jpg"), tmp_path_factory.mktemp("drawn")
    return compare_upload(pair, picture, SHARED, UNKNOWN, last_stage, AS_TRAINED, analyse=analyse, folder=folder)


def test_the_answer_equals_the_comparison_computed_without_a_server(shown, direct, pair):
    names, explained = pair.card.class_names, direct.explanation
    for arm in ARMS:
        found = shown.numbers["arms"][arm]
        np.testing.assert_allclose(probabilities_of(shown.numbers, arm), explained.probabilities[arm], atol=EXACT)
        mass = float(explained.maps[arm].sum())
        np.testing.assert_allclose(map_of(shown.numbers, arm), explained.maps[arm] / (mass or 1), atol=EXACT)
        assert found["map_sum_raw"] == pytest.approx(mass, rel=1e-3, abs=1e-6)
        assert found["answer"] == names[explained.answers[arm]]
        assert found["explained_class"] == names[explained.targets[arm]]
        assert list(found["probabilities"]) == list(names)
    layer, work = shown.numbers["layer"], direct.compression
    assert layer["psnr_db"] == pytest.approx(work.psnr, abs=1e-3)
    facts = (layer["zeroed"], layer["limited"], layer["outside_black_white"])
    assert facts == pytest.approx((work.zeroed, work.limited, work.outside), abs=1e-4)


@pytest.mark.parametrize("field", PICTURES)
def test_every_picture_of_the_answer_is_a_png_with_the_drawn_pixels(client, shown, drawn, field):
    found = picture_of(client, getattr(shown, field))
    with Image.open(getattr(drawn, field)) as expected:
        assert (found.format, found.mode, found.size) == ("PNG", "RGB", expected.size)
        levels = np.asarray(found).astype(int) - np.asarray(expected)
    # Where a network's arithmetic is in the picture, another number of threads may move a value over a rounding edge.
    assert abs(levels).max() <= (0 if field in ("picture", "decoded") else 3)


def test_the_picture_is_the_crop_that_the_networks_get_enlarged_by_whole_pixels(client, shown, direct):
    found = np.asarray(picture_of(client, shown.picture))
    factor = len(found) // len(direct.square)
    assert factor >= 1
    np.testing.assert_array_equal(found, direct.square.repeat(factor, 0).repeat(factor, 1))


def test_the_probabilities_sum_to_1_and_the_answer_is_the_most_probable_class(shown):
    for arm in shown.numbers["arms"].values():
        assert sum(arm["probabilities"].values()) == pytest.approx(1, abs=EXACT)
        assert arm["answer"] == max(arm["probabilities"], key=arm["probabilities"].get)


@pytest.mark.parametrize("file", ["daffodil.jpg", "cat.jpg"])
@pytest.mark.parametrize("number", range(3))
def test_each_map_sums_to_1_at_each_stage_unless_it_is_empty(client, pair, file, number):
    stage = list(architecture(pair.card.architecture).stages)[number]
    numbers = compare(client, upload(client, (EXAMPLES / file).read_bytes()), stage=stage).numbers
    assert numbers["stage"] == stage
    for arm in numbers["arms"].values():
        assert np.array(arm["map"]).min() >= 0
        assert np.array(arm["map"]).sum() == pytest.approx(1 if arm["map_sum_raw"] else 0, abs=EXACT)


def test_both_maps_explain_the_class_with_the_highest_mean_probability_by_default(shown, pair):
    mean = sum(probabilities_of(shown.numbers, arm) for arm in ARMS)
    explained = [arm["explained_class"] for arm in shown.numbers["arms"].values()]
    assert explained == [pair.card.class_names[int(np.argmax(mean))]] * 2


def test_the_test_set_counts_are_the_cards(shown, pair):
    counts = pair.card.results["test"]
    expected = {**asdict(counts), "n": counts.n, "p_mcnemar": counts.p_value}
    assert shown.numbers["test_set"] == pytest.approx(expected)
    for part in ("This picture", f"n = {counts.n}", f"{100 * counts.accuracy('jpegdl'):.1f} %"):
        assert part in shown.strip


def test_the_facts_of_the_layer_are_in_their_ranges(shown):
    layer = shown.numbers["layer"]
    assert layer["psnr_db"] is None or 0 < layer["psnr_db"] < 200
    assert all(0 <= layer[share] <= 1 for share in ("zeroed", "limited", "outside_black_white"))
    assert 0 < layer["jpeg_bits_per_pixel"] < 48
    assert 0 <= layer["steps_changed_by_rounding"] <= 128


def test_the_true_class_is_marked_and_can_be_explained(client, example, last_stage, pair):
    truth = pair.card.class_names[3]
    answer = compare(client, example, TRUE, truth, stage=last_stage)
    assert answer.numbers["true_class"] == truth
    assert [arm["explained_class"] for arm in answer.numbers["arms"].values()] == [truth, truth]
    assert f"True label: {truth}." in answer.strip
    assert "true label" in answer.bars


def test_without_the_true_class_the_page_says_what_it_explains_instead(client, example, last_stage):
    answer = compare(client, example, TRUE, stage=last_stage)
    assert "The true class is not known" in answer.notices
    assert answer.numbers["true_class"] is None


def test_any_class_can_be_explained_by_its_name(client, example, last_stage, pair):
    for name in (pair.card.class_names[0], pair.card.class_names[2], pair.card.class_names[-1]):
        answer = compare(client, example, name, stage=last_stage)
        assert [arm["explained_class"] for arm in answer.numbers["arms"].values()] == [name, name]
        assert f"Class explained for both: <b>{name}</b>" in answer.explained


def test_each_its_own_explains_each_first_class_and_warns_when_they_differ(client, last_stage):
    different = []
    for entry in MENU[:6]:
        picture = upload(client, (EXAMPLES / entry["file"]).read_bytes())
        answer = compare(client, picture, OWN, stage=last_stage)
        arms = answer.numbers["arms"].values()
        assert [arm["explained_class"] for arm in arms] == [arm["answer"] for arm in arms]
        different.append(len({arm["answer"] for arm in arms}) == 2)
        assert ("explain different classes" in answer.notices) == different[-1]


def test_with_all_levels_the_page_warns_and_answers_as_that_quantizer_does(client, example, shown, pair, last_stage):
    square = prepare(read_upload(EXAMPLES / "daffodil.jpg").image, pair.card.input_size, pair.card.short_side)
    expected = compare_picture(pair, square, "shared", stage=last_stage, quantizer="all levels")
    answer = compare(client, example, stage=last_stage, quantizer=FORMULA)
    for arm in ARMS:
        np.testing.assert_allclose(
            probabilities_of(answer.numbers, arm), expected.explanation.probabilities[arm], atol=EXACT
        )
    assert "another quantizer than it was trained with" in answer.notices
    assert "another quantizer" not in shown.notices
    difference = answer.numbers["layer"]["five_or_all_levels_mean_difference"]
    assert difference == pytest.approx(shown.numbers["layer"]["five_or_all_levels_mean_difference"], rel=1e-3)
    assert difference > 0


# What is not accepted


@pytest.mark.parametrize("place", ["pair", "target", "true_class", "stage", "quantizer"])
@pytest.mark.parametrize("value", ["no such thing", "<img src=x onerror=alert(1)>", "../../etc/passwd", 7, ["a"], None])
def test_a_setting_that_is_not_in_its_menu_is_answered_by_one_sentence(app, client, example, last_stage, place, value):
    settings = {"pair": PAIR, "target": SHARED, "true_class": UNKNOWN, "stage": last_stage, "quantizer": AS_TRAINED}
    settings[place] = value
    kind, error = ask(client, "compare", example, *settings.values())
    if (place, value) == ("true_class", None):  # an emptied menu: nothing is known
        assert kind == "complete"
        return
    assert kind == "error"
    assert_is_a_sentence(app, error)
    if place in ("target", "true_class"):  # texts that a visitor may type; Gradio's own menus repeat them as they are
        assert "<img" not in error["error"]


def test_a_script_gets_the_sentence_as_an_apperror(app, script, last_stage):
    picture = handle_file(EXAMPLES / "daffodil.jpg")
    with pytest.raises(AppError, match="unknown class to explain") as caught:
        script.predict(picture, PAIR, "rose", UNKNOWN, last_stage, api_name="/compare")
    assert_is_a_sentence(app, {"error": str(caught.value)})
    with pytest.raises(AppError, match="unknown true class"):
        script.predict(picture, PAIR, SHARED, "rose", last_stage, api_name="/compare")


def test_a_script_gets_the_same_answer_and_the_files(script, shown, last_stage):
    values = script.predict(
        handle_file(EXAMPLES / "daffodil.jpg"), PAIR, SHARED, UNKNOWN, last_stage, api_name="/compare"
    )
    answer = Shown(*values)
    assert_equal_analyses(answer.numbers, shown.numbers)
    assert all(Path(getattr(answer, field)).read_bytes().startswith(b"\x89PNG") for field in PICTURES)


def test_a_script_may_leave_out_every_setting(script, shown):
    answer = Shown(*script.predict(handle_file(EXAMPLES / "daffodil.jpg"), api_name="/compare"))
    assert_equal_analyses(answer.numbers, shown.numbers)


def test_no_picture_is_answered_by_one_sentence(client, last_stage):
    kind, error = ask(client, "compare", None, PAIR, SHARED, UNKNOWN, last_stage, AS_TRAINED)
    assert (kind, error["error"]) == ("error", MISSING)


def test_text_named_jpg_is_answered_by_one_sentence(client, last_stage):
    kind, error = ask(client, "compare", upload(client, b"text" * 99), PAIR, SHARED, UNKNOWN, last_stage, AS_TRAINED)
    assert (kind, error["error"]) == ("error", NOT_A_PICTURE)


def test_every_second_hostile_picture_is_answered_or_refused_in_a_sentence_and_the_next_visitor_is_served(
    app, client, example, last_stage, shown
):
    sample = list(hostile_pictures())[::2]
    assert len(sample) >= 60
    answered = 0
    for name, data in sample:
        sent = client.post("/gradio_api/upload", files={"files": (name, data)})
        if sent.status_code == 413:
            assert len(data) > 10 * 2**20
            continue
        picture = {"path": sent.json()[0], "meta": {"_type": "gradio.FileData"}}
        kind, values = ask(client, "compare", picture, PAIR, SHARED, UNKNOWN, last_stage, AS_TRAINED)
        if kind == "error":
            assert_is_a_sentence(app, values)
            continue
        answered += 1
        assert str(ROOT) not in json.dumps(values)
        for arm in Shown(*values).numbers["arms"].values():
            assert sum(arm["probabilities"].values()) == pytest.approx(1, abs=EXACT)
    assert 0 < answered < len(sample)
    assert_equal_analyses(compare(client, example, stage=last_stage).numbers, shown.numbers)


def test_nothing_on_the_page_names_a_folder_of_the_repository(client):
    for path in ("/", "/config", "/gradio_api/info"):
        answer = client.get(path)
        assert answer.status_code == 200
        assert str(ROOT) not in answer.text
        assert "Traceback" not in answer.text


# Many at once


def test_8_visitors_at_once_get_the_answers_that_each_would_get_alone(client, last_stage):
    pictures = [upload(client, (EXAMPLES / entry["file"]).read_bytes()) for entry in MENU[:4]]
    alone = [compare(client, picture, stage=last_stage).numbers for picture in pictures]
    assert len({numbers["arms"]["baseline"]["map_sum_raw"] for numbers in alone}) == len(pictures)

    def visit(number: int) -> dict[str, Any]:
        return compare(client, pictures[number % len(pictures)], stage=last_stage).numbers

    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(visit, range(24)))
    assert len(together) == 24
    for number, found in enumerate(together):
        assert_equal_analyses(found, alone[number % len(pictures)])


# Tables, pairs and downloads


def test_the_tables_for_scripts_are_those_of_the_weights_and_the_card(client, pair):
    kind, (tables,) = ask(client, "tables", PAIR)
    assert kind == "complete"
    steps = pair.codec.steps[0].numpy()
    np.testing.assert_array_equal(np.array(tables["learned"], np.float32), steps)
    np.testing.assert_allclose(tables["initial"], pair.card.initial_tables[0], rtol=1e-6)
    np.testing.assert_array_equal(tables["standard"], STANDARD_TABLES)
    np.testing.assert_array_equal(tables["learned as in a .jpg"], integer_tables(steps))


def test_the_tables_of_an_unknown_pair_are_refused_in_one_sentence(app, client):
    kind, error = ask(client, "tables", "no such pair")
    assert kind == "error"
    assert_is_a_sentence(app, error)


def test_the_list_of_pairs_is_that_of_the_cards(client):
    kind, (found,) = ask(client, "pairs")
    assert kind == "complete"
    cards = [card_from_json(path.read_text()) for path in sorted(CHECKPOINTS.glob("[!.]*/pair.json"))]
    cards.sort(key=lambda card: card.name != PAIR)  # most examples are of its classes
    assert found == [
        {
            "name": card.name,
            "title": card.title,
            "class_names": list(card.class_names),
            "stages": list(architecture(card.architecture).stages),
            "test_set": asdict(card.results["test"]),
        }
        for card in cards
    ]


def test_the_downloaded_jpg_holds_the_whole_number_tables_of_the_pair(client, shown, pair):
    data = fetch(client, shown.jpeg)
    np.testing.assert_array_equal(read_tables(data), integer_tables(pair.codec.steps[0].numpy()))
    with Image.open(io.BytesIO(data)) as picture:
        assert (picture.format, picture.size) == ("JPEG", (pair.card.input_size,) * 2)
    assert shown.numbers["layer"]["jpeg_bits_per_pixel"] == 8 * len(data) / pair.card.input_size**2


def test_the_downloaded_json_parses_to_the_learned_steps(client, pair):
    tables = json.loads(fetch(client, component(client, "tables-json")["value"]))["tables"]["learned"]
    np.testing.assert_array_equal(np.array([tables["luma"], tables["chroma"]], np.float32), pair.codec.steps[0].numpy())


def test_the_downloaded_csv_parses_to_the_learned_steps(client, pair):
    lines = fetch(client, component(client, "tables-csv")["value"]).decode().splitlines()
    found = np.zeros((2, 8, 8), np.float32)
    for row in csv.DictReader(lines):
        found[["luma", "chroma"].index(row["table"]), int(row["row"]), int(row["column"])] = float(row["step"])
    np.testing.assert_array_equal(found, pair.codec.steps[0].numpy())


def test_the_downloaded_text_parses_to_the_learned_steps_in_whole_numbers(client, pair):
    lines = fetch(client, component(client, "tables-text")["value"]).decode().splitlines()
    numbers = [int(word) for line in lines if not line.startswith("#") for word in line.split()]
    np.testing.assert_array_equal(np.reshape(numbers, (2, 8, 8)), integer_tables(pair.codec.steps[0].numpy()))


# What scripts are offered


def test_scripts_are_offered_compare_tables_and_pairs_and_nothing_else(client):
    info = client.get("/gradio_api/info").json()
    assert set(info["named_endpoints"]) == {"/compare", "/tables", "/pairs"}
    assert info["unnamed_endpoints"] == {}


def test_draw_is_not_there_without_a_data_set(client):
    answer = client.post("/gradio_api/call/draw", json={"data": [PAIR, 1]})
    assert answer.is_error
    assert str(ROOT) not in answer.text


def no_analysis(*_: object) -> PictureComparison:
    raise AssertionError("no picture was sent")


def test_with_a_data_set_scripts_are_offered_draw_as_well(pair):
    demo = build_demo({PAIR: pair}, {}, no_analysis, draws={PAIR: lambda _seed: (Image.new("RGB", (9, 9)), "a")})
    info = demo.get_api_info()
    assert info is not None
    assert set(info["named_endpoints"]) == {"/compare", "/tables", "/pairs", "/draw"}
    assert info["unnamed_endpoints"] == {}


def test_a_folder_without_a_known_data_set_ends_the_start_in_one_sentence(pair, tmp_path, monkeypatch):
    monkeypatch.setattr("app.PAIRS", {PAIR: pair})
    with pytest.raises(SystemExit) as caught:
        make_draws(tmp_path)
    assert isinstance(caught.value.code, str)
    assert "\n" not in caught.value.code


def test_no_picture_of_the_page_is_sent_in_a_lossy_format(client):
    components = client.get("/config").json()["components"]
    pictures = {"image", "gallery", "imageslider", "annotatedimage", "imageeditor", "plot"}
    formats = [item["props"].get("format") for item in components if item["type"] in pictures]
    assert len(formats) > len(PICTURES)
    assert set(formats) == {"png"}


# Pairs that cannot be used


@pytest.fixture(scope="module")
def half_broken(tmp_path_factory) -> Iterator[httpx.Client]:
    """The app on a folder with one good pair, three broken ones, and one with a layer that is not shown."""
    checkpoints = tmp_path_factory.mktemp("checkpoints")
    for name in (PAIR, "one-bit", "pointer", "missing", "clipped"):
        (checkpoints / name).mkdir()
        for file in (CHECKPOINTS / PAIR).iterdir():
            (checkpoints / name / file.name).symlink_to(file)
    replace(checkpoints / "one-bit" / "jpegdl.safetensors", flipped(CHECKPOINTS / PAIR / "jpegdl.safetensors"))
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 22500000\n"
    replace(checkpoints / "pointer" / "baseline.safetensors", pointer)
    (checkpoints / "missing" / "baseline.safetensors").unlink()
    card = (CHECKPOINTS / PAIR / "pair.json").read_bytes()
    replace(checkpoints / "clipped" / "pair.json", card.replace(b'"quantizer": "five levels"', b'"quantizer": "clip"'))
    folder = tmp_path_factory.mktemp("half-broken")
    with (
        running(folder, "--checkpoints", str(checkpoints)) as app,
        httpx.Client(base_url=app.url, timeout=SECONDS) as client,
    ):
        yield client


def replace(path: Path, data: bytes) -> None:
    path.unlink()
    path.write_bytes(data)


def flipped(path: Path) -> bytes:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    return bytes(data)


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("one-bit/jpegdl.safetensors", "does not match the hash in its card"),
        ("pointer/baseline.safetensors", "is a Git LFS pointer, not weights; run `git lfs pull`"),
        ("missing/baseline.safetensors", "is missing"),
        ("clipped", "the page shows layers of five levels at the input, no others"),
    ],
)
def test_the_page_names_the_broken_file_and_the_reason(half_broken, file, reason):
    texts = [str(item["props"].get("value")) for item in half_broken.get("/config").json()["components"]]
    named = [text for text in texts if file in text]
    assert len(named) == 1
    assert reason in named[0]
    assert str(ROOT) not in named[0]
    assert "/tmp" not in named[0]


def test_the_good_pair_beside_broken_ones_is_offered_and_answers(half_broken, last_stage, shown):
    _, (pairs,) = ask(half_broken, "pairs")
    assert [pair["name"] for pair in pairs] == [PAIR]
    picture = upload(half_broken, (EXAMPLES / "daffodil.jpg").read_bytes())
    assert_equal_analyses(compare(half_broken, picture, stage=last_stage).numbers, shown.numbers)


def test_the_pair_whose_classes_most_examples_show_comes_first_then_the_names_decide(tmp_path):
    classes = {"b": ("a", "b"), "a": ("a", "b"), "z": ("iris", "b"), "y": ("iris", "dandelion")}
    good = load_pair(CHECKPOINTS / PAIR)
    pairs = {
        name: dataclasses.replace(good, card=dataclasses.replace(good.card, class_names=names))
        for name, names in classes.items()
    }
    assert list(best_illustrated_first(pairs)) == ["y", "z", "a", "b"]


def test_with_an_empty_folder_the_page_opens_and_says_that_there_is_no_pair(tmp_path):
    pairs, refused = load_pairs(tmp_path)
    assert (pairs, refused) == ({}, {})
    demo = build_demo(pairs, refused, no_analysis)
    _, url, _ = serve(demo, seconds_per_analysis=1, server_port=unused_port(), prevent_thread_lock=True, quiet=True)
    try:
        page, config = httpx.get(url, timeout=SECONDS), httpx.get(f"{url}config", timeout=SECONDS)
        assert page.status_code == 200
        assert "There is no pair to show" in config.text
    finally:
        demo.close(verbose=False)


def test_with_only_broken_pairs_the_page_names_them(tmp_path):
    shutil.copytree(CHECKPOINTS / PAIR, tmp_path / PAIR, ignore=shutil.ignore_patterns("*.safetensors"))
    demo = build_demo(*load_pairs(tmp_path), no_analysis)
    assert isinstance(demo, gr.Blocks)
    assert f"{PAIR}/baseline.safetensors is missing" in json.dumps(demo.get_config_file()["components"], default=str)
