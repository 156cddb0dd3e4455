"""attack on the command line: rows are kept as they are done, each with its settings, and nothing is mixed."""

import itertools
import re
from argparse import ArgumentParser, Namespace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from jpegdl.analysis import robustness
from jpegdl.commands import attack as command
from jpegdl.commands import progress
from jpegdl.pairs.card import PairCard
from jpegdl.pairs.checkpoints import CheckpointError, change_card, load_pair
from jpegdl.pairs.measured import RobustAccuracy
from jpegdl.pairs.pictures import read_picture
from jpegdl.training import data
from jpegdl.training.data import to_examples
from tests.tiny import add_tiny, noise_bytes, write_pair

FULL = ("--epsilons", "4", "--steps", "3", "--restarts", "2", "--queries", "4")


@pytest.fixture
def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An untrained pair and twelve pictures."""
    add_tiny(monkeypatch)
    write_pair(tmp_path / "pair")
    pictures = noise_bytes(12, 18).permute(0, 2, 3, 1).numpy()
    test = to_examples((picture, number % 5) for number, picture in enumerate(pictures))
    monkeypatch.setattr(command, "dataset_of", lambda card, folder: Namespace(test=test))
    return tmp_path / "pair"


def attack(pair: Path, *arguments: Any) -> None:
    parser = ArgumentParser()
    command.add(parser.add_subparsers())
    given = parser.parse_args(["attack", str(pair), "--data", str(pair), "--device", "cpu", *map(str, arguments)])
    given.run(given)


def rows(pair: Path) -> tuple[RobustAccuracy, ...]:
    return load_pair(pair).card.robustness


def test_a_stopped_attack_keeps_its_rows_and_goes_on_to_the_same_numbers(pair, monkeypatch, capsys):
    attack(pair, *FULL, "--limit", 6)
    whole, card = rows(pair), (pair / "pair.json").read_bytes()
    assert len(whole) == 7
    saved: list[Any] = []

    def stop(folder: Path, *change: Any) -> Any:
        if len(saved) == 3:
            raise KeyboardInterrupt
        saved.append(change)
        return change_card(folder, *change)

    write_pair(pair)
    monkeypatch.setattr(command, "change_card", stop)
    with pytest.raises(KeyboardInterrupt):
        attack(pair, *FULL, "--limit", 6)
    assert rows(pair) == whole[:3]
    monkeypatch.setattr(command, "change_card", change_card)
    capsys.readouterr()
    attack(pair, *FULL, "--limit", 6)
    first, second, third, *_ = capsys.readouterr().out.splitlines()
    assert first == "3 of 7 attacks are in the card already"
    assert second.startswith("At most ")
    assert third.startswith("1 of 4 attacks done: PGD, straight-through at 4/255, ")
    assert rows(pair) == whole
    assert (pair / "pair.json").read_bytes() == card


def test_an_attack_says_how_long_it_takes_and_once_a_minute_where_it_stands(pair, monkeypatch, capsys):
    """With a clock that goes on by half a minute whenever it is asked."""
    now = itertools.count(0.0, 30.0)
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: next(now)))
    attack(pair, *FULL, "--only", "pgd-paper", "--limit", 12)
    lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"At most [\d.]+ s on this device; less where answers are wrong early\.", lines[1])
    assert lines[2:6] == [
        f"PGD, as in the paper at 4/255, {arm}: 0 of 12 pictures done, {passes} passes over the next ones"
        for arm in ("baseline", "jpegdl")
        for passes in ((2, 4) if arm == "baseline" else (1, 3))
    ]
    attack(pair, *FULL, "--only", "pgd-paper", "--limit", 12)
    assert "At most" not in capsys.readouterr().out


def test_what_is_done_is_shown_and_what_cannot_be_done_refused_without_reading_the_data(pair, monkeypatch, capsys):
    def unread(card: PairCard, folder: Path) -> None:
        raise AssertionError("the data were read")

    def without(name: str) -> None:
        raise ValueError("ART is missing")

    attack(pair, *FULL, "--limit", 6)
    done = capsys.readouterr().out
    monkeypatch.setattr(command, "dataset_of", unread)
    monkeypatch.setattr(robustness, "art_modules", lambda: without("art"))
    attack(pair, *FULL, "--limit", 6)
    again = capsys.readouterr().out
    assert again.startswith("7 of 7 attacks are in the card already\n")
    assert done.endswith(again.partition("\n")[2])
    with pytest.raises(ValueError, match="ART is missing"):
        attack(pair, *FULL, "--limit", 7, "--again")


def test_what_another_command_writes_meanwhile_stays(pair, monkeypatch):
    """Two attacks on one pair at a time, and the weights of another pair in the middle of a third."""

    def meanwhile(folder: Path, *change: Any) -> Any:
        monkeypatch.setattr(command, "change_card", change_card)
        attack(pair, *FULL, "--only", "square", "--limit", 3)
        return change_card(folder, *change)

    monkeypatch.setattr(command, "change_card", meanwhile)
    attack(pair, *FULL, "--only", "fgsm", "transfer", "--limit", 6)
    assert [row.attack.name for row in rows(pair)] == ["FGSM", "PGD, transfer", "Square"]

    def trained_again(folder: Path, *change: Any) -> Any:
        write_pair(pair, classes=7)
        return change_card(folder, *change)

    monkeypatch.setattr(command, "change_card", trained_again)
    with pytest.raises(CheckpointError, match="pair was trained again while it was measured; measure it again"):
        attack(pair, *FULL, "--only", "pgd", "--limit", 2)
    assert rows(pair) == ()


@pytest.mark.parametrize("other", [("--limit", 5), ("--limit", 6, "--seed", 1), ("--limit", 6, "--steps", 4)])
def test_rows_with_other_settings_are_refused_and_replaced_only_on_request(pair, other):
    attack(pair, *FULL, "--limit", 6)
    before = rows(pair)
    with pytest.raises(ValueError, match=r"^the card holds .* at 4/255 with other settings \(6 pictures.*--again"):
        attack(pair, *FULL, *other)
    assert rows(pair) == before
    attack(pair, *FULL, *other, "--again")
    after = rows(pair)
    assert [row.attack.name for row in after] == [row.attack.name for row in before]
    same = [one for one, two in zip(before, after, strict=True) if one == two]
    assert {row.attack.name for row in same} <= ({"FGSM", "PGD, as in the paper", "Square"} if 4 in other else set())


def test_a_limit_takes_pictures_from_the_whole_set(pair, monkeypatch):
    """Of twelve, the first, the last and two between; no other one is decoded."""
    read: list[Any] = []

    def recorded(picture: Any) -> Any:
        read.append(picture)
        return read_picture(picture)

    monkeypatch.setattr(data, "read_picture", recorded)
    attack(pair, *FULL, "--only", "fgsm", "--limit", 4)
    whole = noise_bytes(12, 18).permute(0, 2, 3, 1).numpy()
    assert len(read) == 4
    assert all(np.array_equal(one, whole[position]) for one, position in zip(read, (0, 4, 7, 11), strict=True))
    assert [row.checks.n for row in rows(pair)] == [4]


def test_each_part_may_have_its_own_number_of_pictures(pair):
    attack(pair, *FULL, "--only", "square", "--limit", 3)
    attack(pair, *FULL, "--only", "fgsm", "transfer", "--limit", 9)
    found = [(row.attack.name, row.attacked.n, row.checks.n) for row in rows(pair)]
    assert found == [("FGSM", 9, 9), ("PGD, transfer", 9, 9), ("Square", 3, 3)]


def test_the_seed_is_in_every_row(pair):
    attack(pair, *FULL, "--only", "pgd", "--limit", 2, "--seed", 11)
    assert {row.seed for row in rows(pair)} == {11}


def test_without_a_choice_every_attack_of_both_suites_is_planned(pair, capsys):
    parser = ArgumentParser()
    command.add(parser.add_subparsers())
    given = parser.parse_args(["attack", str(pair), "--data", "d"])
    assert given.only == ["fgsm", "pgd-paper", "pgd", "transfer", "square"]
    attack(pair, "--limit", 1, "--steps", 1, "--restarts", 1, "--queries", 1)
    assert capsys.readouterr().out.startswith("0 of 30 attacks are in the card already")
