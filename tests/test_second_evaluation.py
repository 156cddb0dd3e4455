"""The plain second count of a pair: what it agrees with, and that it can disagree."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmarks import second_evaluation
from benchmarks.second_evaluation import Count
from jpegdl.codec.layer import JPEGLayer
from jpegdl.pairs.checkpoints import load_pair, save_pair
from jpegdl.pairs.classifier import ARMS, Arm, Classifier, build_classifier
from jpegdl.pairs.comparison import Comparison
from jpegdl.training.catalogue import RECIPES
from jpegdl.training.describe import dataset_facts
from jpegdl.training.pair import measure
from jpegdl.training.readers import read_dataset
from tests.tiny import TINY, add_tiny, card, noise, tables, write_flowers17


@pytest.fixture
def pair(tmp_path, monkeypatch) -> Path:
    """An untrained pair that answers with many classes, counted on generated flowers of 27 x 27 pixels."""
    add_tiny(monkeypatch)
    write_flowers17(tmp_path / "data", 27)
    folder = tmp_path / "pair"
    facts = card(TINY, 17, name="pair")
    dataset = read_dataset("flowers17", tmp_path / "data")
    data = dataset_facts(RECIPES["flowers17-resnet18"], dataset)
    plan = replace(facts.recipe, dataset="flowers17")
    facts = replace(facts, recipe=plan, paper_recipe=plan, dataset=data, class_names=tuple(dataset.class_names))
    arms: dict[Arm, Classifier] = {
        "baseline": build_classifier(TINY, 17, seed=1),
        "jpegdl": build_classifier(TINY, 17, seed=2, codec=JPEGLayer(tables(), 5.0)),
    }
    for arm in arms.values():
        arm.train()(noise(8, 16))
        with torch.no_grad():
            arm.get_parameter("backbone.7.weight").mul_(50)  # answers that the colour decides
    save_pair(folder, facts, arms)
    measure(folder, dataset, torch.device("cpu"))
    return folder


def told(*arguments: object) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["second_evaluation", *map(str, arguments)])
        return second_evaluation.main()


def test_the_second_count_is_the_cards(pair, capsys):
    counts = load_pair(pair).card.results["test"]
    assert told(pair, "--data", pair.parent / "data") == 0
    said = capsys.readouterr().out.splitlines()
    assert [line.split(" of ")[0].split()[-1] for line in said[:2]] == [str(counts.correct(arm)) for arm in ARMS]
    assert said[2] == "The counts agree."
    assert len({counts.correct(arm) for arm in ARMS} | {0, 340}) > 2  # not by answering one class


def test_wrong_counts_in_a_card_are_found(pair, capsys):
    loaded = load_pair(pair)
    counts = loaded.card.results["test"]
    wrong = Comparison(
        both=counts.both + 1, only_baseline=counts.only_baseline, only_jpegdl=counts.only_jpegdl,
        neither=counts.neither - 1,
    )  # fmt: skip
    changed = replace(loaded.card, results={**loaded.card.results, "test": wrong})
    save_pair(pair, changed, {arm: loaded.arm(arm) for arm in ARMS})
    assert told(pair, "--data", pair.parent / "data") == 1
    assert "differ by more than 0.2%" in capsys.readouterr().out


def test_two_pictures_in_a_thousand_may_differ_and_no_more():
    assert Count("baseline", 500, 502, 1000).agrees
    assert not Count("baseline", 500, 503, 1000).agrees
    assert not Count("baseline", 100, 99, 340).agrees


def test_a_pair_with_another_layer_is_refused(pair):
    loaded = load_pair(pair)
    recipe = replace(loaded.card.recipe, quantizer="clip")
    changed = replace(loaded.card, recipe=recipe)
    save_pair(pair, changed, {arm: loaded.arm(arm) for arm in ARMS})
    with pytest.raises(ValueError, match="pair has another layer than five levels at the input in one round"):
        second_evaluation.second_evaluation(pair, pair.parent / "data")
