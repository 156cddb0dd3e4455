"""Pairs on disk: killed at any step the old one or the new one is there; any name; no pair takes the others along."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from jpegdl.__main__ import main
from jpegdl.pairs import checkpoints
from jpegdl.pairs.arms import read_arm, stored_bytes
from jpegdl.pairs.card import PairCard, card_to_json
from jpegdl.pairs.checkpoints import CheckpointError, change_card, load_pair, load_pairs, load_records, prove, save_pair
from jpegdl.pairs.classifier import ARMS, Arm, Classifier, build_classifier
from jpegdl.pairs.measured import Answer
from jpegdl.pairs.proof import make_proof, triangle_waves
from jpegdl.pairs.storage import alone_in, write_weights
from tests.tiny import TINY, add_tiny, card, tiny_pair, write_pair


class Killed(BaseException):
    """As SIGKILL: nothing that the program does after it."""


@pytest.fixture(autouse=True)
def _tiny(monkeypatch):
    add_tiny(monkeypatch)


def arms_of(folder: Path) -> dict[Arm, Classifier]:
    pair = load_pair(folder)
    return {arm: pair.arm(arm) for arm in ARMS}


def kill_at(patch: pytest.MonkeyPatch, step: int) -> list[str]:
    """Kill before the `step`th change of the disk; returns the list of changes, which grows."""
    done: list[str] = []

    def counting(name: str) -> Callable[..., object]:
        function = getattr(os, name)

        def call(*arguments: object, **options: object) -> object:
            if len(done) == step:
                raise Killed
            done.append(name)
            return function(*arguments, **options)

        return call

    for name in ("replace", "rename", "fsync", "unlink"):
        patch.setattr(os, name, counting(name))
    return done


# Kills


def test_killed_at_any_step_a_replaced_pair_is_the_old_one_or_the_new_one(tmp_path, monkeypatch):
    write_pair(tmp_path / "new", classes=3)
    facts, arms = load_pair(tmp_path / "new").card, arms_of(tmp_path / "new")
    found = []
    for step in range(99):
        folder = tmp_path / str(step) / "pair"
        write_pair(folder)
        with monkeypatch.context() as patch:
            kill_at(patch, step)
            try:
                save_pair(folder, facts, arms)
                killed = False
            except Killed:
                killed = True
        pairs, refused = load_pairs(folder.parent)
        assert refused == {}
        found.append(len(pairs["pair"].card.class_names))
        if not killed:
            break
    assert found == sorted(found, reverse=True)  # the old one until one step, from then on the new one
    assert {5, 3} == set(found)
    assert len(found) > 8
    save_pair(folder, facts, arms)
    assert len(list(folder.iterdir())) == 3  # nothing of the old one is left


def test_killed_at_any_step_a_new_pair_is_whole_or_not_there(tmp_path, monkeypatch):
    write_pair(tmp_path / "one")
    facts, arms, found = load_pair(tmp_path / "one").card, arms_of(tmp_path / "one"), []
    for step in range(99):
        root = tmp_path / str(step)
        with monkeypatch.context() as patch:
            kill_at(patch, step)
            try:
                save_pair(root / "pair", facts, arms)
                killed = False
            except Killed:
                killed = True
        pairs, refused = load_pairs(root)
        assert refused == {}
        found.append(list(pairs))
        if not killed:
            break
    assert found[-1] == ["pair"]
    assert found[:-1] == [[]] * (len(found) - 1)


def test_a_pair_that_an_earlier_version_left_between_two_names_is_put_back(tmp_path):
    write_pair(tmp_path / "pair")
    (tmp_path / ".pair-ab12_xyz").mkdir()
    (tmp_path / "pair").rename(tmp_path / ".pair-ab12_xyz" / "previous")
    assert list(load_pairs(tmp_path)[0]) == ["pair"]
    write_pair(tmp_path / ".pair-qrst0000" / "previous", classes=3)
    assert len(load_pairs(tmp_path)[0]["pair"].card.class_names) == 5  # a complete pair is not replaced


def test_another_card_leaves_the_weights_alone(tmp_path):
    pair = tiny_pair(tmp_path / "pair")
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "pair").glob("*.safetensors")}
    change_card(tmp_path / "pair", pair.card, lambda card: replace(card, title="another"))
    assert load_pair(tmp_path / "pair").card.title == "another"
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "pair").glob("*.safetensors")} == before


def test_changes_that_are_made_at_the_same_time_are_all_in_the_card(tmp_path):
    pair = tiny_pair(tmp_path / "pair")

    def note(number: int) -> None:
        def change(card: PairCard) -> PairCard:
            time.sleep(0.02)
            return replace(card, flaws=(*card.flaws, f"flaw {number}"))

        change_card(tmp_path / "pair", pair.card, change)

    with ThreadPoolExecutor(8) as people:
        list(people.map(note, range(8)))
    assert sorted(load_pair(tmp_path / "pair").card.flaws) == [f"flaw {number}" for number in range(8)]


def test_a_place_is_kept_by_one_program_and_by_those_that_it_starts(tmp_path):
    with alone_in(tmp_path) as held:
        assert held is not None
        keeper = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=[held])
    with keeper:
        with pytest.raises(ValueError, match=r"^somebody is here$"), alone_in(tmp_path, busy="somebody is here"):
            pass
        keeper.communicate(b"\n")
    with alone_in(tmp_path, busy="somebody is here"):
        pass
    with alone_in(tmp_path / "nothing", busy="somebody is here") as held:
        assert held is None


# Names

NAMES = (
    "a b", "é à ü", "花", "[x]", "{0}", "a*?", "'\"", "<b>&amp;", "%20", "-rf", "a.b", "x" * 90, "x" * 200, "a\tb",
    "a\\b",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_any_name_that_the_file_system_allows_is_a_pairs_name(name, tmp_path):
    write_pair(tmp_path / name)
    pairs, refused = load_pairs(tmp_path)
    assert (list(pairs), refused) == ([name], {})
    assert pairs[name].card.name == name
    change_card(tmp_path / name, pairs[name].card, lambda card: card)
    assert json.loads((tmp_path / name / "pair.json").read_text(encoding="utf-8"))["name"] == name


def test_a_name_that_is_no_text_is_left_out_with_a_sentence(tmp_path):
    write_pair(tmp_path / "good")
    try:
        os.rename(tmp_path / "good", os.fsencode(tmp_path) + b"/b\xff")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    pairs, refused = load_pairs(tmp_path)
    assert pairs == {}
    assert [str(error) for error in refused.values()] == ["b�: the folder's name is not UTF-8; rename it."]


def test_hidden_and_system_files_and_folders_are_no_pairs(tmp_path):
    write_pair(tmp_path / "good")
    for name in (".hidden", "__MACOSX", "lost+found", "System Volume Information", "$RECYCLE.BIN", "@eaDir"):
        (tmp_path / name).mkdir()
    for name in (".DS_Store", "Thumbs.db", "notes.txt"):
        (tmp_path / name).write_text("")
    assert [list(found) for found in load_pairs(tmp_path)] == [["good"], []]


def test_whatever_goes_wrong_with_one_pair_the_others_load(tmp_path, monkeypatch):
    write_pair(tmp_path / "good")
    write_pair(tmp_path / "odd")

    def failing(folder: Path) -> object:
        if folder.name == "odd":
            raise MemoryError("none left")
        return load_pair(folder)

    monkeypatch.setattr(checkpoints, "load_pair", failing)
    pairs, refused = load_pairs(tmp_path)
    assert list(pairs) == ["good"]
    assert str(refused["odd"]) == "odd cannot be loaded (MemoryError: none left); restore it."


def test_records_that_are_no_cards_are_named_and_the_others_are_read(tmp_path):
    (tmp_path / "good.json").write_text(card_to_json(card()))
    (tmp_path / "bad.json").write_text("{}")
    (tmp_path / "not-text.json").write_bytes(b"\xff")
    (tmp_path / ".hidden.json").write_text("")
    cards, refused = load_records(tmp_path)
    assert cards == [card()]
    assert [str(error).split(" is not")[0].split("/")[1] for error in refused] == ["bad.json", "not-text.json"]


# Proofs


def test_the_picture_of_the_proof_is_the_same_everywhere():
    picture = triangle_waves(32)
    assert (picture.dtype, tuple(picture.shape)) == (torch.uint8, (3, 32, 32))
    for channel, (down, across) in enumerate([(7, 13), (11, 10), (15, 7)]):
        rows = [[abs((down * y + across * x) % 510 - 255) for x in range(32)] for y in range(32)]
        assert picture[channel].tolist() == rows


def proved(folder: Path) -> Path:
    pair = tiny_pair(folder)
    answers = make_proof(pair.baseline, pair.jpegdl, pair.card.input_size)
    change_card(folder, pair.card, lambda card: replace(card, proof=answers))
    return folder


def test_a_proof_holds_the_first_five_probabilities_of_both_arms(tmp_path):
    pair = load_pair(proved(tmp_path / "pair"))
    assert pair.card.proof
    picture = triangle_waves(16)[None] / 255
    for arm in ARMS:
        expected = pair.arm(arm)(picture).softmax(1)[0]
        answers = pair.card.proof.answers[arm]
        assert [answer.probability for answer in answers] == sorted(expected.tolist(), reverse=True)[:5] or all(
            answer.probability == pytest.approx(expected[answer.class_index].item(), abs=1e-5) for answer in answers
        )
    prove(pair)


def test_networks_that_answer_otherwise_than_when_they_were_measured_are_left_out(tmp_path):
    folder = proved(tmp_path / "pair")
    pair = load_pair(folder)
    assert pair.card.proof
    first, *rest = pair.card.proof.answers["jpegdl"]
    for change, refused in ((9e-4, False), (2e-3, True)):
        wrong = (Answer(class_index=first.class_index, probability=first.probability - change), *rest)
        answers: dict[Arm, tuple[Answer, ...]] = {**pair.card.proof.answers, "jpegdl": wrong}
        proof = replace(pair.card.proof, answers=answers)
        change_card(folder, pair.card, partial(replace, proof=proof))
        assert ("pair" in load_pairs(tmp_path)[1]) == refused
    with pytest.raises(CheckpointError, match=r"pair: its jpegdl network does not answer as it did .* restore"):
        prove(load_pair(folder))


def test_prove_writes_a_proof_where_there_is_none_and_checks_it_where_there_is(tmp_path, capsys, monkeypatch):
    folder = tmp_path / "pair"
    write_pair(folder)
    for said in ("first answers are in the card now", "answers as when it was measured"):
        monkeypatch.setattr(sys, "argv", ["jpegdl", "prove", str(folder)])
        assert main() == 0
        assert said in capsys.readouterr().out


# Loading


@pytest.mark.parametrize("name", [TINY, "resnet18"])
def test_a_loaded_network_is_the_saved_one_though_nothing_is_drawn(name, tmp_path):
    model = build_classifier(name, 3, seed=1)
    weights = write_weights(tmp_path, "baseline", stored_bytes(model))
    state = torch.get_rng_state()
    loaded = read_arm(tmp_path, card(name, 3, input_size=32), "baseline", weights)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(loaded.mean, model.mean)
    for key, value in model.state_dict().items():
        expected = value.half().float() if value.is_floating_point() else value
        assert torch.equal(loaded.state_dict()[key], expected), key
