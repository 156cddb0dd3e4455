"""Seeds that come later: added to a pair by training, or from a run of their own; on record beside the others."""

import dataclasses
import shutil
import sys
from pathlib import Path

import pytest

from jpegdl.__main__ import main
from jpegdl.pairs.card import PairCard, card_from_json, card_to_json
from jpegdl.pairs.checkpoints import CARD, load_pair
from jpegdl.pairs.facts import RESIZED_COPY
from jpegdl.pairs.seeds import differing, joined, seeds_text, summary, with_seeds
from jpegdl.training import settings
from jpegdl.training.packing import pack, unpack
from tests.cards import counts
from tests.test_unfinished import PLAN, same_weights, train
from tests.tiny import add_tiny, card


@pytest.fixture(autouse=True)
def _tiny(monkeypatch):
    add_tiny(monkeypatch)


def command(*arguments: object) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["jpegdl", *map(str, arguments)])
        return main()


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """One run of two seeds, `both`, and each of them by itself in folders of the same name, `first` and `second`."""
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        add_tiny(patch)
        for place, seeds in (("both", (3, 1)), ("first", (3,)), ("second", (1,))):
            train(folder / place / "pair", seeds=seeds)
    return folder


@pytest.fixture
def first(runs, tmp_path) -> Path:
    """A copy of the pair of the first seed that a test may change."""
    shutil.copytree(runs / "first", tmp_path / "first")
    return tmp_path / "first" / "pair"


def test_a_seed_that_is_trained_later_makes_the_card_that_both_seeds_together_make(runs, first):
    reported = train(first, seeds=(3, 1))
    assert {seed for seed, _, _ in reported} == {1}
    together, later = load_pair(runs / "both" / "pair").card, load_pair(first).card
    assert later.seeds == together.seeds == (3, 1)
    assert dataclasses.replace(later.other_seeds[0], seconds={}) == dataclasses.replace(
        together.other_seeds[0], seconds={}
    )
    assert same_weights(first, runs / "first" / "pair")
    assert [path.name for path in first.parent.iterdir()] == ["pair"]  # nothing of the run is left
    before = files(first)
    assert train(first, seeds=(1, 3)) == []  # there is nothing to train
    assert files(first.parent) == {f"pair/{name}": data for name, data in before.items()}


def test_seeds_are_not_added_to_a_pair_of_another_kind_nor_to_one_with_a_known_flaw(first):
    for plan in (dataclasses.replace(PLAN, epochs=4), dataclasses.replace(PLAN, bits=11)):
        with pytest.raises(ValueError, match=f"is a pair with another {'epochs' if plan.epochs == 4 else 'bits'}; "):
            train(first, plan=plan, seeds=(1,))
    facts = dataclasses.replace(load_pair(first).card, flaws=("The tables were wrong.",))
    (first / CARD).write_text(card_to_json(facts), encoding="utf-8")
    with pytest.raises(
        ValueError, match="is a pair with another known flaw; give the settings of that, or choose another --out"
    ):
        train(first, seeds=(1,))
    assert [path.name for path in first.parent.iterdir()] == ["pair"]


def test_what_another_seed_has_trained_stays_when_a_pair_is_finished(tmp_path):
    out = tmp_path / "pair"
    train(out, seeds=(1,), stop=("jpegdl", 1))
    train(out, seeds=(11,), stop=("baseline", 1))
    train(out, seeds=(3,))
    left = {path.name for path in settings.work_folder(out).iterdir()}
    assert left == {"run.json", "seed1-baseline", "seed1-jpegdl.state", "seed11-baseline.state"}
    reported = train(out, seeds=(1,))
    assert [number for _, arm, number in reported if arm == "jpegdl"] == [1, 2, 3]  # the first is from its state
    assert {path.name for path in settings.work_folder(out).iterdir()} == {"run.json", "seed11-baseline.state"}
    assert load_pair(out).card.seeds == (3, 1)


def test_a_kill_after_the_card_was_changed_leaves_nothing_behind_once_it_is_started_again(first, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("jpegdl.training.pair.forget_seeds", lambda *_: None)
        train(first, seeds=(1,))
    assert settings.work_folder(first).exists()
    assert train(first, seeds=(1,)) == []
    assert [path.name for path in first.parent.iterdir()] == ["pair"]


def test_a_packed_seed_goes_on_beside_the_pair_to_which_it_is_added(first, tmp_path):
    away = tmp_path / "away" / "pair"
    train(away, seeds=(1,), stop=("jpegdl", 1))
    pack(settings.work_folder(away), tmp_path / "run.zip")
    unpack(tmp_path / "run.zip", settings.work_folder(first))
    train(first, seeds=(1,))
    assert load_pair(first).card.seeds == (3, 1)


def test_the_commands_pack_and_unpack_bring_a_run_to_another_folder(tmp_path, capsys):
    out, there, file = tmp_path / "here" / "pair", tmp_path / "there" / "pair", tmp_path / "run.zip"
    train(out, stop=("jpegdl", 1))
    assert command("pack", out, file) == 0
    assert command("unpack", file, there) == 0
    assert "go on with train --resume" in capsys.readouterr().out
    assert [number for _, arm, number in train(there) if arm == "jpegdl"] == [1, 2, 3]
    assert command("unpack", file, tmp_path / "here" / "pair") == 2
    assert "holds a run; go on with it, or remove it first" in capsys.readouterr().err


def test_a_finished_run_gives_its_seeds_to_a_pair_once_and_keeps_its_weights_out(runs, first, capsys):
    record = ["record", runs / "second" / "pair", "--to", first]
    for _ in range(2):  # the second time it says the same of the same seed
        assert command(*record) == 0
        assert "seeds 3 and 1; the weights are those of seed 3" in capsys.readouterr().out
        assert load_pair(first).card.other_seeds == (summary(load_pair(runs / "second" / "pair").card),)
        assert same_weights(first, runs / "first" / "pair")
    assert command("record", runs / "first" / "pair", "--to", first) == 2
    assert "has no seed but 3, that of" in capsys.readouterr().err


def test_a_run_that_differs_in_more_than_its_seed_gives_nothing(runs, first, tmp_path, capsys):
    other = tmp_path / "other"
    train(other, seeds=(1,), plan=dataclasses.replace(PLAN, table_learning_rate=0.02))
    before = files(first)
    assert command("record", other, "--to", first) == 2
    assert "holds a run with another table_learning_rate; move it away, or choose another place" in (
        capsys.readouterr().err
    )
    assert files(first) == before


@pytest.mark.parametrize("order", [("first", "second"), ("second", "first")])
def test_records_of_single_seeds_become_one_whatever_comes_first(runs, tmp_path, order):
    for place in order:
        assert command("record", runs / place / "pair", "--out", tmp_path) == 0
    (file,) = tmp_path.iterdir()
    found = card_from_json(file.read_text(encoding="utf-8"))
    expected = {load_pair(runs / place / "pair").card.seed: load_pair(runs / place / "pair").card for place in order}
    assert found.seeds == tuple(expected)
    counted = {found.seed: found.results} | {other.seed: other.results for other in found.other_seeds}
    assert counted == {seed: known.results for seed, known in expected.items()}
    assert found.weights is None


def test_a_run_that_has_all_seeds_takes_the_place_of_the_record_and_one_that_has_some_leaves_the_rest(runs, tmp_path):
    record = tmp_path / "records"
    for place, seeds in (("second", (1,)), ("both", (3, 1)), ("first", (3, 1)), ("second", (3, 1))):
        assert command("record", runs / place / "pair", "--out", record) == 0
        (file,) = record.iterdir()
        assert card_from_json(file.read_text(encoding="utf-8")).seeds == seeds


def numbered(seed: int, right: int, *others: int) -> PairCard:
    """A card in whose counts only JPEG-DL names `right` pictures."""
    known = card(seed=seed, results={"test": counts(0, right), "validation": counts(0, right)})
    return with_seeds(known, [summary(numbered(other, other)) for other in others])


@pytest.mark.parametrize(
    ("present", "run", "expected"),
    [
        ((0, 0), (1, 1), {0: 0, 1: 1}),
        ((0, 0, 1), (1, 9), {0: 0, 1: 9}),
        ((0, 0, 1), (0, 9), {0: 9, 1: 1}),
        ((0, 0, 1), (2, 9, 1, 0), {2: 9, 1: 1, 0: 0}),
        ((0, 8, 1), (1, 9, 0, 2), {1: 9, 0: 0, 2: 2}),
        ((0, 0, 1), (2, 9, 1), {0: 0, 1: 1, 2: 9}),
    ],
)
def test_of_two_cards_no_seed_is_lost_and_the_runs_count_where_both_have_one(present, run, expected):
    found = joined(numbered(*present), numbered(*run))
    seeds = {found.seed: found.results} | {other.seed: other.results for other in found.other_seeds}
    assert {seed: results["test"].only_jpegdl for seed, results in seeds.items()} == expected
    assert list(seeds) == list(expected)


def test_runs_differ_in_recipe_data_classes_and_flaws_and_in_nothing_else():
    known = card()
    for facts, named in (
        ({"seed": 7, "title": "x", "name": "y"}, []),
        ({"recipe": dataclasses.replace(known.recipe, rounds=2)}, ["rounds"]),
        ({"dataset": dataclasses.replace(known.dataset, source="a mirror")}, []),
        ({"dataset": dataclasses.replace(known.dataset, split="another")}, ["split of the data set"]),
        (
            {"dataset": dataclasses.replace(known.dataset, title=f"Pets, {RESIZED_COPY}")},
            ["resolution of the data set"],
        ),
        ({"dataset": dataclasses.replace(known.dataset, title="a moved folder")}, []),
        ({"class_names": ("a", "b", "c", "d", "e")}, ["list of classes"]),
        ({"flaws": ("It was wrong.",)}, ["known flaw"]),
    ):
        changed = dataclasses.replace(card(), **facts) if "recipe" not in facts else None
        other = changed or dataclasses.replace(card(rounds=2), dataset=known.dataset)
        assert differing(known, other) == named


def test_a_card_keeps_in_which_precision_another_seed_was_trained(first):
    train(first, seeds=(1,))
    assert load_pair(first).card.other_seeds[0].precisions == ("float32",)


def test_seeds_are_named_as_people_name_them():
    assert [seeds_text(seeds) for seeds in ((0,), (0, 1), (2, 0, 1))] == ["seed 0", "seeds 0 and 1", "seeds 2, 0 and 1"]
