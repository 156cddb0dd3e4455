"""What the page's server side answers to the state that a browser holds; no browser, no network of a real pair."""

import asyncio
import json
import re
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import gradio as gr
import pytest
from gradio.utils import get_upload_folder
from PIL import Image

from jpegdl.analysis.answers import Answers
from jpegdl.analysis.request import Answer, Request, answer
from jpegdl.codec.jpegfile import encode, scale_standard
from jpegdl.pairs.checkpoints import CheckpointError, ModelPair, load_pairs
from jpegdl.server.decoding import Decoders
from jpegdl.server.uploads import MISSING, NOT_A_PICTURE, UNREADABLE
from jpegdl.ui import evidence
from jpegdl.ui.compare import NOT_HERE, TOO_OLD, Compare, outcome, read_state, request
from jpegdl.ui.evidence import gather_evidence
from jpegdl.ui.page import Page, after_decoding, build_page
from jpegdl.ui.real_file import same_size
from jpegdl.ui.screens import Screens
from jpegdl.ui.trays import best_shown_first, examples, offered
from tests.running import CHECKPOINTS, ROOT
from tests.tiny import add_tiny, smooth_picture, tiny_pair

STATE = {"number": 7, "pair": "pair", "picture": "example:cat", "true": 1, "stage": "last", "quantizer": "five levels"}
ODD_NAMES = ["a pair with spaces", "prüfung été", "[x] (y) {z} #1 %41?", "n" * 90, "'quote' \"double\" <b>"]


@pytest.fixture
def pair(tmp_path, monkeypatch) -> ModelPair:
    add_tiny(monkeypatch)
    return tiny_pair(tmp_path / "pair")


@pytest.fixture
def asked() -> list[Request]:
    """Every request that reached the networks."""
    return []


@pytest.fixture
def compare(pair, asked) -> Compare:
    pairs = {"pair": pair}

    def run(request: Request) -> Answer:
        asked.append(request)
        return answer(pairs, request)

    return Compare(pairs, Answers(run), {"pair": lambda seed: (smooth_picture(40, 60 + seed % 9), "class 3")})


@pytest.fixture
def upload(tmp_path) -> str:
    path = Path(get_upload_folder()) / "tests" / "own.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    smooth_picture(90, 60).save(path)
    return str(path)


def texts(facts: Any) -> str:
    return json.dumps(facts, ensure_ascii=False)


# One state, one result


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"stage": "early"},
        {"stage": None},
        {"quantizer": "all levels"},
        {"true": None},
        {"picture": "draw:5"},
        {"picture": "example:iris", "number": 0},
    ],
)
def test_a_result_carries_the_state_that_asked_for_it(compare, changes):
    state = STATE | changes
    result = compare.ask(state)
    assert result["number"] == state["number"]
    expected = {name: state[name] for name in ("pair", "picture", "true", "quantizer")}
    assert result["state"] == expected | {"stage": state["stage"] or "last"}
    json.dumps(result, allow_nan=False)


def test_a_result_of_an_upload_is_of_the_uploaded_picture(compare, upload):
    result = compare.ask(STATE | {"picture": "upload", "file": upload, "true": None})
    assert (result["crop"]["width"], result["crop"]["height"]) == (60, 90)
    assert result["state"]["picture"] == "upload"


def test_choosing_the_true_class_runs_no_network(compare, asked):
    before = compare.ask(STATE | {"true": None})
    for true in range(5):
        result = compare.glance(STATE | {"true": true, "number": 8 + true})
        assert result["state"]["true"] == true
        assert result["number"] == 8 + true
        assert result["probabilities"] == before["probabilities"]
        assert result["sentences"] == before["sentences"]  # who is right says the browser
    assert len(asked) == 1


def test_the_same_question_runs_the_networks_once_and_a_glance_never_does(compare, asked):
    assert compare.glance(STATE) is None
    first = compare.ask(STATE)
    assert compare.ask(STATE) == compare.glance(STATE) == first
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"pair": "another"}, NOT_HERE),
        ({"picture": "example:unicorn"}, NOT_HERE),
        ({"picture": "picked:daffodil-close"}, NOT_HERE),  # of another pair
        ({"picture": "draw:x"}, NOT_HERE),
        ({"picture": "draw:²"}, NOT_HERE),
        ({"picture": "/etc/passwd"}, NOT_HERE),
        ({"true": 5}, NOT_HERE),
        ({"true": -1}, NOT_HERE),
        ({"stage": "middle"}, NOT_HERE),
        ({"quantizer": "none"}, NOT_HERE),
        ({"picture": "upload"}, MISSING),
        ({"picture": "upload", "file": "/etc/passwd"}, UNREADABLE),
        ({"picture": "upload", "file": "../../etc/passwd"}, UNREADABLE),
        ({"picture": "upload", "file": "https://example.org/a.jpg"}, UNREADABLE),
        ({"true": "daffodil"}, TOO_OLD),
        ({"true": True}, TOO_OLD),
        ({"number": None}, TOO_OLD),
        ({"stage": 4}, TOO_OLD),
        ({"file": ["a"]}, TOO_OLD),
        ({"pair": None}, TOO_OLD),
    ],
)
def test_whatever_is_not_there_is_refused_in_a_sentence_with_the_number_of_its_state(compare, changes, sentence):
    state = STATE | changes
    for ask in (compare.ask, compare.glance):
        assert ask(state) == {"refused": sentence, "number": state["number"]}


@pytest.mark.parametrize("odd", [["a"], {"a": 1}, 7, None])
def test_names_that_are_no_texts_and_paths_that_no_file_has_are_refused_in_a_sentence(compare, odd):
    assert compare.outcomes(odd) == {"refused": NOT_HERE}
    assert set(compare.draw(odd, 1)) == {"refused"}
    assert set(compare.draw("pair", ["x"])) == {"refused"}
    screens = Screens(compare, lambda: gather_evidence([]))
    assert "There is no screen" in screens.screen(odd, STATE)["refused"]
    null = STATE | {"picture": "upload", "file": "a\0b"}
    assert compare.ask(null)["refused"] == compare.glance(null)["refused"] == UNREADABLE
    assert screens.screen("file", null)["refused"] == UNREADABLE


@pytest.mark.parametrize("state", [None, [], "state", 7, {}])
def test_what_is_no_state_is_refused(compare, state):
    assert compare.ask(state)["refused"] == TOO_OLD


def test_a_file_that_is_no_picture_is_refused_in_a_sentence(compare, upload):
    Path(upload).write_text("no picture " * 99, encoding="utf-8")
    assert compare.ask(STATE | {"picture": "upload", "file": upload})["refused"] == NOT_A_PICTURE


def test_a_drawn_picture_comes_with_its_seed_and_its_class(compare):
    assert compare.draw("pair", 5) == {"seed": 5, "true": 3}
    assert 0 <= compare.draw("pair")["seed"] < 1_000_000
    assert set(compare.draw("another")) == {"refused"}


# The page


@pytest.mark.parametrize("name", ODD_NAMES)
def test_any_folder_name_that_the_file_system_allows_is_a_pairs_name(pair, name):
    named = replace(pair, card=replace(pair.card, name=name))
    page = build_page({name: named}, {}, lambda request: answer({name: named}, request))
    facts, first = facts_of(page), props_of(page)["first"]
    assert [shown["name"] for shown in facts["pairs"]] == [name]
    assert facts["refused"] == []
    assert first["state"]["pair"] == name


def test_a_pair_that_cannot_be_shown_is_left_out_with_a_sentence_and_the_page_opens_with_the_others(pair):
    broken = replace(pair, card=replace(pair.card, name="broken", results={}))
    pairs = {"broken": broken, "pair": pair}
    page = build_page(pairs, {}, lambda request: answer(pairs, request))
    facts = facts_of(page)
    assert [shown["name"] for shown in facts["pairs"]] == ["pair"]
    assert len(facts["refused"]) == 1
    assert "broken" in facts["refused"][0]


def test_a_run_on_record_that_cannot_be_read_is_named_since_verdicts_are_told_without_it(pair, tmp_path, monkeypatch):
    (tmp_path / "half.json").write_text("half of a", encoding="utf-8")
    monkeypatch.setattr(evidence, "RECORDS", tmp_path)
    (sentence,) = facts_of(build_page({"pair": pair}, {}, lambda request: answer({"pair": pair}, request)))["refused"]
    assert sentence.startswith("A run on record is left out of the evidence: ")
    assert "half.json" in sentence


def test_who_waits_for_a_decoder_holds_no_thread_of_the_others():
    """Twice as many calls as there are threads; another function runs meanwhile, and all of them at the end."""
    future: Future[None] = Future()
    decoders = SimpleNamespace(expect=lambda path: future)
    path = f"{get_upload_folder()}/photo.jpg"
    glance = after_decoding(lambda state: state["number"], cast(Decoders, decoders))

    async def crowd() -> list[int]:
        waiting = [asyncio.create_task(glance({"file": path, "number": number})) for number in range(80)]
        await asyncio.sleep(0.05)
        assert await glance({"file": None, "number": 7}) == 7
        assert not any(task.done() for task in waiting)
        future.set_exception(ValueError("what the function says itself"))
        return list(await asyncio.gather(*waiting))

    assert asyncio.run(asyncio.wait_for(crowd(), 20)) == list(range(80))


def test_without_any_pair_the_page_opens_and_names_the_reasons():
    page = build_page(
        {}, {"a": CheckpointError("a is broken; restore it.")}, lambda _: pytest.fail("there is no network")
    )
    assert facts_of(page)["pairs"] == []
    assert facts_of(page)["refused"] == ["a is broken; restore it."]


def facts_of(page: Page) -> dict[str, Any]:
    facts: dict[str, Any] = props_of(page)["facts"]
    return facts


def props_of(page: Page) -> dict[str, Any]:
    """What the page's component is made with."""
    (component,) = [block for block in page.demo.blocks.values() if isinstance(block, gr.HTML)]
    return component.props


def test_nothing_that_the_page_sends_names_a_folder_of_this_machine(pair):
    page = build_page({"pair": pair}, {}, lambda request: answer({"pair": pair}, request))
    assert str(ROOT) not in texts(page.demo.get_config_file())


# The shipped pairs


@pytest.fixture(scope="module")
def shipped() -> dict[str, ModelPair]:
    pairs, refused = load_pairs(CHECKPOINTS, "cpu")
    assert refused == {}
    return pairs


@pytest.fixture(scope="module")
def shipped_page(shipped):
    return build_page(shipped, {}, lambda request: answer(shipped, request))


def test_no_shipped_pair_is_left_out_and_the_page_opens_with_a_result_of_the_first(shipped, shipped_page):
    facts = facts_of(shipped_page)
    assert facts["refused"] == []
    assert sorted(pair["name"] for pair in facts["pairs"]) == sorted(shipped)
    names = best_shown_first({name: pair.card for name, pair in shipped.items()})
    assert [pair["name"] for pair in facts["pairs"]] == names


@pytest.fixture(scope="module")
def shipped_compare(shipped) -> Compare:
    """Remembers whatever it was asked."""
    return Compare(shipped, Answers(lambda request: answer(shipped, request), limit=2**30), {})


@pytest.fixture(scope="module")
def picked(shipped, shipped_compare) -> dict[str, dict[str, int]]:
    """Pair -> outcome -> how many of its picked pictures."""
    return {
        pair: {
            name: sum(key.startswith("picked:") for key in keys)
            for name, keys in shipped_compare.outcomes(pair).items()
        }
        for pair in best_shown_first({name: pair.card for name, pair in shipped.items()})
    }


def test_each_pair_has_six_picked_pictures_of_which_as_many_are_won_by_the_baseline_only_as_by_jpegdl_only(picked):
    for pair, count in picked.items():
        assert sum(count.values()) >= 6, pair
        assert count["only_baseline"] == count["only_jpegdl"] >= 1, (pair, count)
        assert count["both"] >= 1


def test_what_opens_is_the_pair_that_names_the_largest_share_of_its_picked_pictures(picked):
    shares = [(2 * n["both"] + n["only_baseline"] + n["only_jpegdl"]) / sum(n.values()) for n in picked.values()]
    assert shares[0] == max(shares)


def test_the_result_of_every_example_of_every_pair_has_at_most_200_kilobytes(shipped, shipped_compare):
    sizes = [pair.card.input_size for pair in shipped.values()]
    assert max(sizes) == 224
    for name, pair in shipped.items():
        for key in offered(pair.card):
            state = STATE | {"pair": name, "picture": key, "true": None, "stage": None}
            sent = json.dumps(shipped_compare.ask(state), ensure_ascii=False, separators=(",", ":"))
            assert len(sent.encode("utf-8")) <= 200_000, (name, key)


def test_every_picked_picture_is_of_a_shipped_pair_and_shows_one_of_its_classes(shipped):
    for example in examples():
        if example.pair:
            assert example.true(shipped[example.pair].card.class_names) is not None


def test_every_offered_picture_has_a_name_of_its_own_and_opens(shipped):
    for pair in shipped.values():
        keys = [example.key for example in offered(pair.card).values()]
        assert len(keys) == len(set(keys))
    for example in examples():
        picture = example.image()
        assert isinstance(picture, Image.Image)
        assert min(picture.size) >= 32


def test_where_a_visitors_time_is_spent_the_examples_are_not_all_run_at_once(compare, asked):
    found = replace(compare, is_lent=True).outcomes("pair")
    assert "single pictures" in found["refused"]
    assert asked == []


def test_an_outcome_is_the_count_to_which_a_picture_belongs(compare):
    compare.ask(STATE)
    result = compare.answers.known(Request(**vars_of(compare)))
    first = result.firsts
    for true, expected in (
        (first["baseline"], "both" if first["baseline"] == first["jpegdl"] else "only_baseline"),
        (first["jpegdl"], "both" if first["baseline"] == first["jpegdl"] else "only_jpegdl"),
        (next(index for index in range(5) if index not in first.values()), "neither"),
    ):
        assert outcome(replace(result, request=replace(result.request, true=true))) == expected


def vars_of(compare: Compare) -> dict[str, Any]:
    made = request(compare.pairs["pair"], read_state(STATE), compare.picture(read_state(STATE)).image)
    return {field: getattr(made, field) for field in ("pair", "square", "true", "target", "stage", "quantizer")}


# The screens beside Compare


@pytest.mark.parametrize("name", ["file", "tables", "evidence", "about"])
def test_each_screen_of_each_pair_is_made_and_names_the_pair_or_shows_its_picture(shipped, name):
    cards = [pair.card for pair in shipped.values()]
    compare = Compare(shipped, Answers(lambda request: answer(shipped, request)), {})
    screens = Screens(compare, lambda: gather_evidence(cards))
    for pair in shipped.values():
        key = next(iter(offered(pair.card)))
        state = STATE | {"pair": pair.card.name, "picture": key, "true": None, "stage": None}
        html = screens.screen(name, state)["html"]
        assert "data:image/png;base64," in html if name == "file" else pair.card.title in html


@pytest.mark.parametrize("name", ["file", "evidence", "about"])
def test_every_cell_of_a_list_carries_the_name_of_its_column(shipped, name):
    """Which a phone shows above it, because rows are cards there; the roles keep it a table for screen readers."""
    cards = [pair.card for pair in shipped.values()]
    compare = Compare(shipped, Answers(lambda request: answer(shipped, request)), {})
    screens, lists = Screens(compare, lambda: gather_evidence(cards)), []
    for card in cards:
        state = STATE | {"pair": card.name, "picture": next(iter(offered(card))), "true": None, "stage": None}
        lists += re.findall(r'<table class="jx-list.*?</table>', screens.screen(name, state)["html"], re.DOTALL)
    assert lists
    for table in lists:
        columns = re.findall(r'<th scope="col" role="columnheader">(.*?)</th>', table)[1:]
        rows = re.findall(r'<th scope="row" role="rowheader">.*?</tr>', table, re.DOTALL)
        assert columns
        assert rows
        assert all(re.findall(r'<td role="cell" data-of="(.*?)">', row) == columns for row in rows)
        assert table.count("<tr role=") == table.count("<tr")
        assert table.count("<td role=") == table.count("<td")


def test_texts_of_a_card_are_escaped_on_every_screen(pair):
    evil = "<img src=x onerror=alert(1)>"
    card = replace(pair.card, title=evil, dataset=replace(pair.card.dataset, title=evil, source=evil))
    pairs = {"pair": replace(pair, card=card)}
    compare = Compare(pairs, Answers(lambda request: answer(pairs, request)), {})
    for name in ("tables", "about"):
        html = Screens(compare, lambda: gather_evidence([])).screen(name, STATE)["html"]
        assert evil not in html
        assert "&lt;img src=x" in html


def test_a_screen_or_a_state_that_there_is_not_is_refused_in_a_sentence(compare):
    screens = Screens(compare, lambda: gather_evidence([]))
    assert "secret" in screens.screen("secret", STATE)["refused"]
    assert screens.screen("file", STATE | {"pair": "another"})["refused"] == NOT_HERE
    assert screens.screen("file", STATE | {"picture": "upload"})["refused"] == MISSING


def test_ordinary_jpeg_of_the_same_size_is_of_the_quality_whose_file_is_nearest():
    picture = smooth_picture(64, 64)
    sizes = {quality: len(encode(picture, scale_standard(quality)).data) for quality in range(1, 101)}
    for wanted in (0, 700, 1500, 10**9):
        quality, file = same_size(picture, wanted)
        assert len(file.data) == sizes[quality]
        assert abs(sizes[quality] - wanted) == min(abs(size - wanted) for size in sizes.values())


def test_the_tables_of_an_uploaded_jpeg_are_shown_beside_the_learned_ones(compare, tmp_path):
    path = Path(get_upload_folder()) / "tests" / "own.jpg"
    path.parent.mkdir(parents=True, exist_ok=True)
    smooth_picture(64, 64).save(path, quality=30)
    screens = Screens(compare, lambda: gather_evidence([]))
    html = screens.screen("tables", STATE | {"picture": "upload", "file": str(path)})["html"]
    assert html.count("Your file") == 2
