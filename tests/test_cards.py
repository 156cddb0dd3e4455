"""Cards to the leaf: whatever is done to one, it is read as it was or refused in a sentence."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jpegdl.pairs.card import PairCard, arm_card_from_json, card_from_json, card_to_json
from jpegdl.pairs.checkpoints import CARD, CheckpointError, load_pair
from jpegdl.pairs.classifier import ARMS
from jpegdl.pairs.facts import PARTS, OtherSeed, tables_of
from jpegdl.pairs.measured import Answer, Measured, Numbers, Proof
from jpegdl.training.describe import baseline_of
from tests.cards import SUITE, attacked, counts, make_grid
from tests.tiny import add_tiny, card, history, tables, write_pair

ROOT = Path(__file__).parents[1]
FREE = ("versions", "settings", "arrays")  # mappings of which no key is required
MISSING = object()
HOSTILE: tuple[Any, ...] = (None, True, -1, 10**400, 1e300, math.nan, "x", [], {})


@pytest.fixture(autouse=True)
def _tiny(monkeypatch):
    add_tiny(monkeypatch)


def full_card() -> PairCard:
    """Every field that a card can have, filled."""
    steps = tables_of(tables().tolist())
    return card(
        flaws=("Something was wrong.",),
        history={"baseline": history(1), "jpegdl": history(1, steps=steps)},
        other_seeds=(
            OtherSeed(
                seed=1,
                results=dict.fromkeys(PARTS, counts(1, 2, 10)),
                steps=steps,
                seconds={"baseline": 1, "jpegdl": 2},
                precisions=("bfloat16", "float32"),
            ),
        ),
        grid=make_grid(),
        robustness=tuple(attacked(attack) for attack in SUITE[:2]),
        maps=Measured(settings={"seed": 0, "blur": 1.5, "name": "x", "on": True}, arrays={"a": Numbers.of([1, 2.5])}),
        proof=Proof(formula="triangle waves", answers={arm: (Answer(class_index=1, probability=0.5),) for arm in ARMS}),
    )


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths of every value inside; of a list, which holds the same everywhere, only the last."""
    yield path
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, (*path, key))
    elif isinstance(value, list):
        yield from leaves(value[-1], (*path, -1)) if value else ()


def changed(facts: Any, path: tuple[Any, ...], to: Any = MISSING) -> Any:
    """`facts` with another value at `path`, or without one; a copy of what lies on the path only."""
    key, *rest = path
    copy = facts.copy()
    if rest:
        copy[key] = changed(facts[key], tuple(rest), to)
    elif to is MISSING:
        del copy[key]
    else:
        copy[key] = to
    return copy


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        add_tiny(patch)
        out = tmp_path_factory.mktemp("cards") / "pair"
        write_pair(out)
        facts = json.loads(card_to_json(full_card()))
    facts["weights"] = json.loads((out / CARD).read_text())["weights"]
    (out / CARD).write_text(json.dumps(facts))
    return out


def refusal(folder: Path, text: str) -> str | None:
    """Why the pair is refused, in one sentence; None where it loads."""
    (folder / CARD).write_text(text)
    try:
        load_pair(folder)
    except CheckpointError as error:
        sentence = str(error)
        assert sentence.startswith("pair/")
        assert sentence.endswith(".")
        assert "\n" not in sentence
        assert len(sentence) < 700
        return sentence
    return None


def test_every_leaf_that_is_missing_is_named(folder):
    facts = json.loads((folder / CARD).read_text())
    for path in list(leaves(facts))[1:]:
        if isinstance(path[-1], int):
            continue  # lists are told apart by their length below
        found = refusal(folder, json.dumps(changed(facts, path)))
        if len(path) > 1 and path[-2] in FREE:
            assert found is None
        else:
            assert found, path
            assert "schema None" in found if path == ("schema",) else f"{path[-1]} is missing" in found, path
    assert refusal(folder, json.dumps(facts)) is None


def test_every_leaf_of_another_type_or_out_of_its_range_is_refused_or_a_fact(folder):
    """What is accepted must be a fact of its type: it comes back from the card that is written of it."""
    facts = json.loads((folder / CARD).read_text())
    accepted = []
    for path in list(leaves(facts))[1:]:
        for value in HOSTILE:
            text = json.dumps(changed(facts, path, value))
            try:
                known = card_from_json(text)
            except ValueError:
                continue
            accepted.append((path, value))
            assert card_from_json(card_to_json(known)) == known
    numbers = {path[:2] for path, value in accepted if isinstance(value, int | float) and not isinstance(value, bool)}
    assert numbers == {("maps", "settings"), ("grid", "psnr")}  # these may be negative
    assert {path[-1] for path, value in accepted if value in ([], {})} <= {*_MAY_BE_EMPTY}
    assert refusal(folder, json.dumps(facts)) is None


_MAY_BE_EMPTY = ("milestones", "flaws", "other_seeds", "precisions", "robustness", "versions", "settings", "arrays")


@pytest.mark.parametrize(
    "text", ["", "null", "{", "[]", '"x"', "[" * 10**5, '{"schema": 1e400}', '{"schema": ' + "9" * 5000 + "}", "\0"]
)
def test_what_is_no_card_is_refused_in_a_sentence(text, folder):
    before = (folder / CARD).read_text()
    assert refusal(folder, text)
    (folder / CARD).write_text(before)


def test_the_schema_is_told_before_anything_else(folder):
    before = (folder / CARD).read_text()
    for schema in (2, 4, "3", None):
        found = refusal(folder, json.dumps({"schema": schema, "colour": "blue"}))
        assert found
        assert f"it has schema {schema!r} and this version reads 3; use the version of this code that wrote it" in found
    (folder / CARD).write_text(before)


def test_a_full_card_comes_back_from_its_json():
    assert card_from_json(card_to_json(full_card())) == full_card()


def test_the_card_of_an_arm_comes_back_from_its_json_and_a_pairs_is_none():
    arm = baseline_of(full_card())
    assert arm.flaws == ()
    assert arm_card_from_json(card_to_json(arm)) == arm
    with pytest.raises(ValueError, match="is missing"):
        arm_card_from_json(card_to_json(full_card()))


@pytest.mark.parametrize(
    "path", sorted(ROOT.glob("checkpoints/*/pair.json")) + sorted(ROOT.glob("docs/results/*.json"))
)
def test_a_shipped_card_is_written_as_it_is_read(path):
    text = path.read_text(encoding="utf-8")
    assert card_to_json(card_from_json(text)) == text


# Arrays in a card


@pytest.mark.parametrize("kind", ["float16", "float32"])
def test_numbers_come_back_in_the_precision_of_their_kind_and_small(kind):
    values = np.random.default_rng(0).uniform(-3, 3, (1389, 4))
    values[5, 2] = math.nan
    numbers = Numbers.of(values, kind)
    np.testing.assert_array_equal(numbers.array(), values.astype(kind).astype(np.float32))
    assert len(numbers.data) < 1.4 * values.astype(kind).nbytes


def test_numbers_that_their_kind_does_not_hold_are_refused():
    with pytest.raises(ValueError, match="float16 does not hold 70000; use float32"):
        Numbers.of([1.0, 70000.0])


@pytest.mark.parametrize("data", ["", "!", "AAAA", Numbers.of([1, 2, 3]).data, Numbers.of([1]).data, "é" * 8])
def test_damaged_numbers_are_refused(data):
    with pytest.raises(ValueError, match="measure again"):
        Numbers(shape=(2,), kind="float16", data=data)
    with pytest.raises(ValueError, match="at most"):
        Numbers(shape=(10**6, 10**6), kind="float16", data=data)
