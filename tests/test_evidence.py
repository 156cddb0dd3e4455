"""Evidence as data: the numbers of the cards, controls only of the same baseline, attacks only with their checks."""

import json
import statistics
from dataclasses import asdict, fields, is_dataclass, replace
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jpegdl.analysis.results.evidence import Evidence
from jpegdl.analysis.results.findings import MapNumber, RunEvidence
from jpegdl.analysis.results.map_numbers import MapTable
from jpegdl.analysis.results.report import results_markdown
from jpegdl.pairs.card import PairCard, card_from_json
from jpegdl.pairs.classifier import ARMS
from jpegdl.ui.about import about
from jpegdl.ui.evidence import evidence_screen, map_cells
from jpegdl.ui.evidence import test_facts as facts_of_test  # or pytest takes it for a test
from tests.cards import AHEAD, BEHIND, LEVEL, N, make_grid, mcnemar, outcome, robust, run, wilson
from tests.tiny import history

ROOT = Path(__file__).parents[1]


def only_run(card: PairCard) -> RunEvidence:
    (found,) = Evidence([card]).runs
    return found


def with_baseline(card: PairCard, loss: float) -> PairCard:
    return replace(card, history={"baseline": history(card.recipe.epochs, loss=loss), "jpegdl": card.history["jpegdl"]})


def test_a_run_has_its_counts_with_intervals_and_chance_in_words():
    counted = only_run(run("cub50-resnet18", (7, 29))).sets["test"]
    assert (counted.n, counted.both, counted.only_baseline, counted.only_jpegdl) == (N, 500, 7, 29)
    assert (counted.jpegdl.low, counted.jpegdl.high) == pytest.approx(wilson(529, N), abs=1e-6)
    assert counted.points == pytest.approx(2.2)
    assert counted.p_value == pytest.approx(mcnemar(7, 29))
    assert counted.chance == "in 3 of 10,000 cases"


def test_a_control_says_what_part_of_the_difference_it_makes():
    cards = [run("flowers17-resnet18", (7, 29)), run("flowers17-resnet18-clip_only", (7, 21))]
    whole, control = Evidence(cards[:1], cards[1:]).runs
    assert [found.name for found in whole.controls] == ["flowers17-resnet18-clip_only"]
    assert whole.controls[0].sentence.startswith("The index limit alone: +1.4 of +2.2 points; no clear difference")
    assert (whole.shipped, control.shipped, control.controls) == (True, False, ())


@pytest.mark.parametrize(
    "other",
    [
        run("flowers17-resnet18-clip_only", (8, 28)),  # its baseline names another number of pictures
        with_baseline(run("flowers17-resnet18-clip_only", (7, 29)), loss=0.2),
        run("flowers17-resnet18-clip_only", (7, 29), changed={"input_size": 96}),
        run("flowers17-resnet18-clip_only", (7, 29), changed={"epochs": 30, "milestones": (15, 22)}),
        run("flowers17-resnet18-clip_only", (7, 29), seed=3),
        run("cub50-resnet18-clip_only", (7, 29)),
        run("cub200-resnet18-clip_only", (7, 29)),
    ],
    ids=["counts", "epochs went otherwise", "size", "schedule", "seed", "data", "more data"],
)
def test_a_control_belongs_only_where_data_network_size_seed_and_baseline_are_the_same(other):
    whole = with_baseline(run("flowers17-resnet18", (7, 29)), loss=0.1)
    assert Evidence([whole], [other]).runs[0].controls == ()
    same = with_baseline(run("flowers17-resnet18-clip_only", (7, 21)), loss=0.1)
    assert len(Evidence([whole], [same]).runs[0].controls) == 1


def test_the_papers_figure_is_comparable_only_without_departures():
    plain, changed = (
        only_run(run("cifar100-resnet32", LEVEL, changed=changed)).paper for changed in ({}, {"epochs": 20})
    )
    assert plain
    assert changed
    assert (plain.baseline, plain.jpegdl, plain.gain, plain.table) == (71.14, 71.92, 0.78, "Table 1")
    assert (plain.comparable, changed.comparable) == (True, False)
    assert only_run(run("flowers17-resnet18", LEVEL)).paper is None


def test_every_input_has_both_networks_and_one_reference():
    inputs = only_run(run("cub50-resnet18", LEVEL, grid=make_grid())).inputs
    assert [found.form for found in inputs] == ["raw", "soft", "exact", "hard", "file"]
    missing = [(found.form, arm) for found in inputs for arm, p in found.p_values.items() if p is None]
    assert missing == [("raw", "baseline")]
    assert inputs[0].shares["baseline"].percent == pytest.approx(60)


def test_attacks_without_their_checks_give_no_number():
    card = robust(outcome((5, 40), (5, 40)))
    complete = only_run(card).attacks
    assert complete
    assert complete.missing == ()
    assert {row.attacked.n for row in complete.rows} == {100}
    without = tuple(row for row in card.robustness if row.attack.method != "square")
    partial = only_run(replace(card, robustness=without)).attacks
    assert partial
    assert (partial.rows, partial.signs) == ((), ())
    assert partial.missing == ("Square, which needs no gradient",)


def test_everything_is_frozen_and_becomes_json():
    cards = [card_from_json(path.read_text(encoding="utf-8")) for path in sorted(ROOT.glob("checkpoints/*/pair.json"))]
    records = [card_from_json(path.read_text(encoding="utf-8")) for path in sorted(ROOT.glob("docs/results/*.json"))]
    found = Evidence(cards, records)
    facts: list[Any] = [*found.runs, *found.maps.values(), *found.claims]
    text = json.dumps([asdict(fact) for fact in facts], allow_nan=False)
    assert all(card.name in text for card in [*cards, *records])
    assert not any(mark in text for mark in ("**", "](", "| ", "</"))
    seen = [*facts]
    while seen:
        item = seen.pop()
        assert item.__dataclass_params__.frozen
        values = [getattr(item, field.name) for field in fields(item)]
        values += [inner for value in values if isinstance(value, tuple) for inner in value]
        seen += [value for value in values if is_dataclass(value)]


def test_the_evidence_screen_has_the_numbers_of_the_maps_and_the_first_page_does_not_wait_for_them():
    name = "cub50-efficientnet_lite0-mean_absolute"
    card = card_from_json((ROOT / "checkpoints" / name / "pair.json").read_text(encoding="utf-8"))
    found = Evidence([card])
    facts_of_test(found.runs[0])
    assert not {"maps", "claims"} & set(vars(found))  # not worked out yet
    html = evidence_screen(found, name)
    assert card.maps
    study = MapTable(card.maps)
    for arm in ARMS:
        mean = np.nanmean(study.values("share", study.stages[-1], f"{arm} true"))
        assert f">{100 * mean:.1f}\u00a0%</td>" in html
    assert found.maps[name].sentence in unescape(html)
    assert "pictures with boxes" in html
    assert [html.count(f"a {size} number speaks for a map") for size in ("small", "large")] == [1, 1]
    without = evidence_screen(Evidence([replace(card, maps=None)]), name)
    assert "pictures with boxes" not in without
    assert without.count("Not measured for this pair.") == html.count("Not measured for this pair.") + 1


def test_a_map_that_no_network_made_has_one_number_for_both_and_differences_have_signs():
    facts: dict[str, Any] = {"meaning": "", "stage": "", "of": "", "size": "", "n": 9}
    own = MapNumber(measure="share", baseline=None, jpegdl=None, value=52.84, low=51.6, high=54.1, **facts)
    assert map_cells(own) == {
        "baseline": "52.8\u00a0% [51.6, 54.1]", "jpegdl": "the same", "difference": ""
    }  # fmt: skip
    two = MapNumber(measure="deletion", baseline=0.121, jpegdl=0.132, value=0.011, low=-0.005, high=0.017, **facts)
    assert map_cells(two) == {"baseline": "0.121", "jpegdl": "0.132", "difference": "+0.011 [−0.005, +0.017]"}
    points = MapNumber(measure="pointing", baseline=98.8, jpegdl=98.3, value=-0.51, low=-1.2, high=0.3, **facts)
    assert map_cells(points)["difference"] == "−0.5 [−1.2, +0.3]"


@pytest.mark.parametrize(
    ("seeds", "changed", "said"),
    [
        ((LEVEL,), {}, "The paper’s data, network and recipe: full test; one seed."),
        ((LEVEL, LEVEL), {}, "The paper’s data, network and recipe: full test."),
        ((LEVEL,), {"epochs": 20}, "No full test of the paper: epochs 20 instead of 200; "),
    ],
)
def test_the_evidence_screen_says_how_far_a_run_tests_the_paper(seeds, changed, said):
    """Once among the claims, once in the run's own section."""
    html = evidence_screen(Evidence([run("flowers102-authors-resnet18", *seeds, changed=changed)]), "other")
    assert html.count(said) == 2


def test_a_claims_evidence_names_its_runs_and_the_shown_pair_alone_is_open():
    cards = [run("cifar100-resnet32", AHEAD), run("flowers17-resnet18", BEHIND)]
    html = evidence_screen(Evidence(cards), "flowers17-resnet18")
    assert "<li><b>cifar100-resnet32</b>: +10.0 points" in html
    assert "<section>\n  <h2>title of flowers17-resnet18</h2>" in html
    assert "<summary><h2>title of cifar100-resnet32</h2></summary>" in html
    assert html.count("<section>") == html.count("</section>")
    assert html.count("<details") == html.count("</details>")


def test_a_flaw_of_the_training_is_said_wherever_the_page_speaks_of_the_pair():
    flaw = "The first tables were computed with unequal weights."
    card = run("cifar100-resnet32", AHEAD, flaws=(flaw,))
    found = Evidence([card])
    assert flaw in about(card)
    assert flaw in evidence_screen(found, card.name)
    assert flaw in facts_of_test(found.runs[0])["sentences"]
    assert "Known flaw" not in about(run("cifar100-resnet32", AHEAD))


def test_beside_the_difference_shown_stands_a_controls_or_that_of_all_seeds():
    method, control = (run(f"flowers17-resnet18{end}", LEVEL) for end in ("", "-clip_only"))
    alone, explained = (Evidence([method], more).runs[0] for more in ([], [control]))
    assert facts_of_test(alone)["beside"] is None
    assert facts_of_test(explained)["beside"].endswith(": the index limit alone")
    seeds = [(10, 30), (30, 10), (20, 35)]  # +20, −20 and +15 pictures of N
    found = facts_of_test(only_run(run("flowers17-resnet18", *seeds)))["beside"]
    differences = [100 * pictures / N for pictures in (20, -20, 15)]
    assert found == f"+{statistics.mean(differences):.1f} ± {statistics.stdev(differences):.1f}: 3 seeds"


def test_what_imagenet_taught_both_networks_beforehand_is_said_in_page_and_report():
    scratch = run("cub50-resnet18", AHEAD)
    tuned = replace(scratch, recipe=replace(scratch.recipe, start="imagenet"))
    pets = replace(tuned, dataset=replace(tuned.dataset, name="pets"))
    for card, sentence in ((tuned, "pictures of this data set too"), (pets, "21 of its 25 breeds of dogs")):
        assert sentence in about(card)
        assert sentence in results_markdown([card])
    assert "start from ImageNet" not in results_markdown([scratch])
