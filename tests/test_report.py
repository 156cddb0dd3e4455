"""The results page: every figure against other arithmetic, verdicts by their rules, no bare robustness number."""

import math
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from jpegdl.analysis.masking import masking_signs
from jpegdl.analysis.results.claims import CLAIMS, Evidence, claims_section, verdict_on
from jpegdl.analysis.results.grid import grid_section
from jpegdl.analysis.results.limits import code_text, precision_text
from jpegdl.analysis.results.paper import PAPER
from jpegdl.analysis.results.report import results_markdown, robustness_markdown, verdict
from jpegdl.analysis.results.robustness import REQUIRED, finding, robustness_section
from jpegdl.analysis.results.runs import Effect, gather
from jpegdl.analysis.suites import paper_suite, strong_suite
from jpegdl.pairs.card import PairCard
from jpegdl.pairs.classifier import ARMS, Arm
from jpegdl.pairs.facts import RESIZED_COPY, Precision
from jpegdl.pairs.measured import FORMS
from jpegdl.training.catalogue import RECIPES
from jpegdl.ui.about import about
from tests.cards import (
    AHEAD,
    BEHIND,
    CHECKS,
    LEVEL,
    SUITE,
    N,
    attacked,
    counts,
    fisher,
    make_grid,
    mcnemar,
    outcome,
    robust,
    run,
    wilson,
)
from tests.tiny import dataset_facts, history


def section(page: str, title: str) -> str:
    """Text under the heading that starts with `title`, down to the next heading of its level or above."""
    level = len(title) - len(title.lstrip("#"))
    start = re.search(rf"^{re.escape(title)}.*$", page, re.MULTILINE)
    assert start, title
    rest = page[start.end() :]
    end = re.search(rf"^#{{1,{level}}} ", rest, re.MULTILINE)
    return rest[: end.start() if end else None]


def rows(text: str) -> list[dict[str, str]]:
    """The first Markdown table of a text, a row as column -> cell; a name that occurs again gets a number."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    header = [name if name not in cells[0][:i] else f"{name} {i}" for i, name in enumerate(cells[0])]
    until = next((i for i in range(2, len(cells)) if len(cells[i]) != len(header)), len(cells))
    return [dict(zip(header, row, strict=True)) for row in cells[2:until]]


def verdict_of(page: str, claim: str) -> str:
    found = re.search(rf"^- {re.escape(claim)} \(.*\): \*\*(.*)\*\*$", page, re.MULTILINE)
    assert found, claim
    return found[1]


def number(text: str) -> float:
    return float(text.replace("−", "-").rstrip("%").strip())


def shown(text: str) -> list[float]:
    """Every number of a cell."""
    return [number(found) for found in re.findall(r"(?<![\w.])[+−]?\d+(?:\.\d+)?(?:e-?\d+)?", text)]


def close(p: float, text: str) -> bool:
    return p == pytest.approx(float(text), abs=5.1e-4) if p >= 0.001 else p == pytest.approx(float(text), rel=0.06)


# --- numbers ----------------------------------------------------------------------------------------


@settings(max_examples=20, deadline=None)
@given(only=st.tuples(st.integers(0, 200), st.integers(0, 200)), both=st.integers(0, 600))
def test_one_seed_is_shown_with_accuracies_wilson_intervals_difference_and_mcnemar(only, both):
    page = results_markdown([run("cifar100-resnet32", counts(only[0], only[1], both=both))])
    right = {"baseline": both + only[0], "JPEG-DL": both + only[1]}
    for row in (rows(section(page, "## All runs"))[0], rows(section(page, "## cifar100-resnet32"))[0]):
        for name, hits in right.items():
            low, high = wilson(hits, N)
            assert shown(row[name]) == pytest.approx([hits / 10, low, high], abs=0.0501)
        assert int(row["n"]) == N
        assert close(mcnemar(*only), row["p"])
    difference = rows(section(page, "## All runs"))[0]["difference"]
    assert number(difference) == pytest.approx((only[1] - only[0]) / 10)
    assert difference.startswith("+" if only[1] > only[0] else "−" if only[1] < only[0] else "0")


def test_several_seeds_are_shown_apart_with_mean_and_deviation_and_never_added_up():
    seeds = [(60, 160), (70, 150), (65, 158)]
    page = results_markdown([run("cifar100-resnet32", *seeds)])
    row = rows(section(page, "## All runs"))[0]
    for name, index in (("baseline", 0), ("JPEG-DL", 1)):
        values = [50 + only[index] / 10 for only in seeds]
        mean = sum(values) / 3
        deviation = math.sqrt(sum((value - mean) ** 2 for value in values) / 2)
        assert shown(row[name]) == pytest.approx([mean, deviation], abs=0.0501)
    differences = [(after - before) / 10 for before, after in seeds]
    assert shown(row["difference"])[0] == pytest.approx(sum(differences) / 3, abs=0.0501)
    assert row["seeds"] == "0, 1, 2"
    assert all(close(mcnemar(*only), p) for only, p in zip(seeds, row["p"].split(", "), strict=True))

    inner = section(page, "## cifar100-resnet32")
    of_test = [row for row in rows(inner) if row["set"] == "test"]
    assert [int(row["only baseline"]) for row in of_test] == [60, 70, 65]
    assert [int(row["n"]) for row in of_test] == [N] * 3
    over_seeds = stats.ttest_rel([50 + o[1] / 10 for o in seeds], [50 + o[0] / 10 for o in seeds]).pvalue
    found = re.search(r"points over 3 seeds \((.*?); p = (.*?)\), p over seeds = (.*?)\.$", inner, re.MULTILINE)
    assert found
    assert shown(found[1]) == pytest.approx(differences)
    assert close(over_seeds, found[3])
    assert str(3 * N) not in page


def test_counts_of_every_set_are_shown_as_they_are():
    sets = {"test": counts(7, 29, 340, both=278), "validation": counts(6, 8, 102, both=80)}
    inner = section(results_markdown([run("flowers17-resnet18", LEVEL, results=sets)]), "## flowers17-resnet18")
    columns = ("set", "n", "both right", "only baseline", "only JPEG-DL", "neither")
    assert [[row[column] for column in columns] for row in rows(inner)] == [
        ["test", "340", "278", "7", "29", "26"],
        ["validation", "102", "80", "6", "8", "8"],
    ]


def test_the_papers_figures_stand_in_columns_of_their_own():
    cards = [run("cifar100-vgg13", AHEAD, AHEAD), run("cub50-resnet18", AHEAD)]
    ours, other = rows(section(results_markdown(cards), "## All runs"))
    figure = PAPER["cifar100-vgg13"]
    assert shown(ours["paper: baseline"]) == [figure.baseline]
    assert shown(ours["paper: JPEG-DL"]) == [figure.jpegdl, figure.jpegdl_std]
    assert number(ours["paper: gain"]) == pytest.approx(figure.jpegdl - figure.baseline)
    assert {other[f"paper: {column}"] for column in ("baseline", "JPEG-DL", "gain")} == {"–"}
    assert figure.note in section(results_markdown(cards), "## All runs")


def test_departures_are_marked_on_the_run_and_on_each_of_the_papers_figures():
    changed = {"epochs": 20, "milestones": [12, 15], "bits": None}
    cards = [run("cifar100-resnet56", AHEAD, AHEAD, changed=changed), run("cifar100-resnet32", AHEAD, AHEAD)]
    page = results_markdown(cards)
    departed, full = rows(section(page, "## All runs"))
    for column in ("run", "paper: baseline", "paper: JPEG-DL", "paper: gain"):
        assert departed[column].endswith(" †")
    assert "†" not in "".join(full.values())
    last = "what keeps it from a full test"
    assert (
        departed[last]
        == "epochs 20 instead of 240; milestones 12, 15 instead of 150, 180, 210; bits nothing instead of 8"
    )
    assert full[last] == "nothing"
    assert departed[last] in section(page, "## cifar100-resnet56")


def test_stored_and_recorded_cards_of_one_recipe_are_one_run_and_others_are_not():
    stored = run("cifar100-resnet32", AHEAD)
    further = replace(run("cifar100-resnet32", LEVEL), seed=5)
    shorter = run("cifar100-resnet32", LEVEL, changed={"epochs": 20})
    page = results_markdown([stored], [further, shorter, stored])
    assert [row["seeds"] for row in rows(section(page, "## All runs"))] == ["0, 5", "0"]
    assert page.count("Its weights are not stored") == 1
    assert page.count("Over 2 seeds JPEG-DL differs by ") == 1  # of the stored and the further one


def test_two_counts_of_one_seed_are_refused():
    with pytest.raises(ValueError, match="two cards hold other counts of seed 0; remove one"):
        gather([run("cifar100-resnet32", AHEAD)], [run("cifar100-resnet32", LEVEL)])
    with pytest.raises(ValueError, match=r"seeds must differ, got \[1, 1\]"):
        replace(run("cifar100-resnet32", AHEAD, LEVEL), seed=1)


def test_a_flaw_of_the_training_is_said_in_its_section_and_keeps_it_from_a_full_test():
    flaw = "The first tables were computed with unequal weights."
    page = results_markdown([run("cifar100-resnet32", AHEAD, AHEAD, flaws=(flaw,))])
    assert f"**{flaw}**" in section(page, "## cifar100-resnet32")
    assert "a known flaw" in rows(section(page, "## All runs"))[0]["what keeps it from a full test"]
    assert "a known flaw (" not in results_markdown([run("cifar100-resnet32", AHEAD, AHEAD)])


# --- what counts as a clear difference, and the verdicts --------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 120), st.integers(0, 120)), min_size=1, max_size=5))
def test_a_difference_is_clear_by_each_seeds_mcnemar_or_a_t_test_over_seeds(seeds):
    differences = [(after - before) / 10 for before, after in seeds]
    effect = Effect(tuple(differences), tuple(mcnemar(*only) for only in seeds))
    signs = {(d > 0) - (d < 0) for d in differences}
    each = all(mcnemar(*only) < 0.05 for only in seeds)
    over = len(set(differences)) > 1 and len(seeds) > 2 and stats.ttest_1samp(differences, 0).pvalue < 0.05
    assert effect.direction == (signs.pop() if len(signs) == 1 and (each or over) else 0)


def test_equal_differences_of_all_seeds_give_no_t_test():
    assert Effect((0.7, 0.7, 0.7), (0.4, 0.4, 0.4)).direction == 0


def found(*items: tuple[int, int]) -> list[Evidence]:
    """Evidence by direction and by how many seeds of a full test are behind it; 0: no full test."""
    return [Evidence("run", direction, "", () if seeds else ("other data",), seeds or 2) for direction, seeds in items]


@pytest.mark.parametrize(
    ("evidence", "expected"),
    [
        ([], "not tested here"),
        ([(1, 2)], "supported (full tests: 1 of 8 cells)"),
        ([(1, 2), (1, 3), (0, 0)], "supported (full tests: 2 of 8 cells)"),
        ([(1, 2), (0, 2)], "supported in part (full tests: 2 of 8 cells)"),
        ([(0, 2), (1, 0)], "not supported: no clear difference (full tests: 1 of 8 cells)"),
        ([(0, 2), (-1, 0)], "not supported: no clear difference (full tests: 1 of 8 cells)"),
        ([(-1, 2)], "contradicted (full tests: 1 of 8 cells)"),
        ([(-1, 2), (0, 2)], "contradicted in part (full tests: 2 of 8 cells)"),
        ([(1, 2), (-1, 2)], "contradictory (full tests: 2 of 8 cells)"),
        ([(1, 2), (-1, 0)], "supported (full tests: 1 of 8 cells); other runs point the other way"),
        ([(-1, 2), (1, 0)], "contradicted (full tests: 1 of 8 cells); other runs point the other way"),
        ([(1, 1)], "in the claimed direction, with one seed (full tests: 1 of 8 cells)"),
        ([(-1, 1), (0, 1)], "in the opposite direction, with one seed (full tests: 2 of 8 cells)"),
        ([(1, 1), (-1, 1)], "contradictory, with one seed (full tests: 2 of 8 cells)"),
        ([(0, 1), (-1, 0)], "no clear difference, with one seed (full tests: 1 of 8 cells)"),
        (
            [(1, 1), (-1, 0)],
            "in the claimed direction, with one seed (full tests: 1 of 8 cells); other runs point the other way",
        ),
        ([(1, 2), (0, 1)], "supported (full tests: 2 of 8 cells, 1 with one seed)"),
        (
            [(1, 2), (-1, 1)],
            "supported (full tests: 2 of 8 cells, 1 with one seed); other runs point the other way",
        ),
        ([(1, 0), (0, 0)], "in the claimed direction, without a full test"),
        ([(-1, 0), (0, 0)], "in the opposite direction, without a full test"),
        ([(1, 0), (-1, 0)], "contradictory, without a full test"),
        ([(0, 0)], "no clear difference, without a full test"),
    ],
)
def test_verdicts_follow_from_directions_full_tests_and_seeds(evidence, expected):
    assert verdict_on(found(*evidence), 8) == expected


def test_a_flawed_run_decides_no_verdict_once_it_was_repeated_without_the_flaw():
    flawed = run("pets-efficientnet_lite0", (29, 7), flaws=("unequal weights",))
    again, other = run("pets-efficientnet_lite0-mean_absolute", LEVEL), run("flowers17-resnet18", LEVEL)
    smaller = run("pets-efficientnet_lite0-mean_absolute", LEVEL, changed={"input_size": 128})
    for cards, expected in (
        ([flawed], "in the opposite direction"),
        ([flawed, other, smaller], "in the opposite direction"),
        ([flawed, replace(again, flaws=("unequal weights",))], "in the opposite direction"),
        ([flawed, again], "no clear difference"),
        ([again, flawed, other], "no clear difference"),
    ):
        assert verdict_of(results_markdown(cards), FINE) == f"{expected}, without a full test"
    assert f"a known flaw (see its section); trained again without it as {again.name}" in results_markdown(
        [flawed, again]
    )
    assert "trained again" not in results_markdown([flawed, other])


def test_a_cell_trained_on_a_copy_of_its_data_or_partly_in_another_precision_is_no_full_test():
    cell = run("pets-resnet18", AHEAD, AHEAD)
    assert verdict_of(results_markdown([cell]), FINE) == "supported (full tests: 1 of 10 cells)"
    copied = replace(cell, dataset=replace(cell.dataset, title=f"Pets, {RESIZED_COPY}"))
    mixed = replace(cell.other_seeds[0], precisions=("bfloat16", "float32"))
    for odd, reason in (
        (copied, "512 px re-encoded copy of the data"),
        (replace(cell, other_seeds=(mixed,)), "seed 1 trained in more than one precision"),
    ):
        page = results_markdown([odd])
        assert verdict_of(page, FINE) == "in the claimed direction, without a full test"
        assert f"({reason})" in page


def test_the_code_of_each_network_is_named_where_they_differ():
    one, other = "0123456789abcdef" * 2 + "01234567", "f" * 40
    cell = run("pets-resnet18", AHEAD)
    for commits, said in (
        ((one, one), "0123456789ab"),
        ((one, f"{other}-dirty"), "0123456789ab (baseline), ffffffffffff-dirty (JPEG-DL)"),
        (("1.2.0", ""), "1.2.0 (baseline), not known (JPEG-DL)"),
        (("", ""), ""),
    ):
        facts = {arm: replace(cell.training[arm], commit=c) for arm, c in zip(ARMS, commits, strict=True)}
        found = replace(cell, training=facts)
        assert code_text(found) == said
        assert (f"; code {said}. Departures" in results_markdown([found])) == bool(said)
        assert said in about(found)
        assert ("commit of this repository" in about(found)) == bool(said)


def test_other_bits_stand_beside_other_first_tables():
    pages = {end: results_markdown([run(f"pets-efficientnet_lite0-{end}", LEVEL)]) for end in ("ones", "mean_absolute")}
    assert "other first tables; indices of 11 bits instead of 8" in pages["mean_absolute"]
    assert "indices of" not in pages["ones"]


def test_without_runs_nothing_was_tested():
    page = results_markdown([])
    assert {verdict_of(page, claim.text) for claim in CLAIMS} == {"not tested here"}
    assert "full test)" not in page


CIFAR, FINE = "Higher accuracy on CIFAR-100", "Higher accuracy on fine-grained data"


@pytest.mark.parametrize(
    ("seeds", "changed", "expected"),
    [
        ((AHEAD, AHEAD), {}, "supported"),
        ((BEHIND, BEHIND), {}, "contradicted"),
        ((LEVEL, LEVEL), {}, "not supported"),
        ((AHEAD, LEVEL), {}, "not supported"),
        ((AHEAD,), {}, "in the claimed direction, with one seed (full tests: 1 of 8 cells)"),
        ((BEHIND,), {}, "in the opposite direction, with one seed"),
        ((LEVEL,), {}, "no clear difference, with one seed"),
        ((AHEAD,), {"epochs": 20}, "in the claimed direction, without"),
        ((AHEAD, AHEAD), {"epochs": 20}, "in the claimed direction, without"),
        ((LEVEL, LEVEL), {"input_size": 16}, "no clear difference, without"),
    ],
)
def test_only_a_full_run_over_two_seeds_supports_or_contradicts_a_claim(seeds, changed, expected):
    page = results_markdown([run("cifar100-resnet32", *seeds, changed=changed)])
    assert verdict_of(page, CIFAR).startswith(expected)
    assert verdict_of(page, FINE) == "not tested here"


@pytest.mark.parametrize(
    ("name", "claim", "reasons"),
    [
        ("flowers17-resnet18", FINE, "(other data)"),
        ("cub50-efficientnet_lite0", FINE, "(other data; other network; from ImageNet weights)"),
        ("imagenette-resnet18", "Higher accuracy on ImageNet", "(other data)"),
        ("flowers17-resnet18-first_relu", "The layer gains in place of the first ReLU too", "(other data)"),
    ],
)
def test_runs_on_other_data_or_networks_never_support_a_claim(name, claim, reasons):
    page = results_markdown([run(name, AHEAD, AHEAD)])
    assert verdict_of(page, claim).startswith("in the claimed direction, without a full test")
    assert f"  - {name}: +10.0 ± 0.0 points over 2 seeds" in page
    assert reasons in page


def test_controls_and_other_methods_are_no_evidence_about_the_method_itself():
    names = ["cub200-resnet18-clip_only", "cub200-resnet18-cubic", "cub200-resnet18-first_relu"]
    page = results_markdown([run(name, AHEAD, AHEAD) for name in names])
    assert verdict_of(page, FINE) == "not tested here"


def test_the_same_evidence_is_read_by_every_accuracy_claim_of_the_paper():
    cells = {claim.text: claim.cells for claim in CLAIMS}
    for text, prefixes in ((CIFAR, ("cifar100-",)), ("Higher accuracy on ImageNet", ("imagenet-",))):
        names = [name for name in PAPER if name.startswith(prefixes) and "rounds5" not in name]
        page = results_markdown([run(name, AHEAD, AHEAD) for name in names])
        assert verdict_of(page, text) == f"supported (full tests: {cells[text]} of {cells[text]} cells)"
        assert cells[text] == len(names)
    fine = {(f.baseline, f.jpegdl): name for name, f in PAPER.items() if f.table in ("Table 2", "Table 5")}
    assert cells[FINE] == len([name for name in fine.values() if not name.startswith("cifar")])
    assert cells["Other ways to make rounding trainable do worse than JPEG-DL"] == sum(
        figure.table == "Table 6" for figure in PAPER.values()
    )
    assert cells["The layer gains in place of the first ReLU too"] == sum(f.table == "Table 7" for f in PAPER.values())


OTHERS = "Other ways to make rounding trainable do worse than JPEG-DL"


@pytest.mark.parametrize(
    ("base", "other", "expected"),
    [(AHEAD, LEVEL, "supported"), (LEVEL, AHEAD, "contradicted"), (LEVEL, LEVEL, "not supported")],
)
def test_other_methods_are_compared_with_the_method_at_equal_seeds(base, other, expected):
    cards = [run("pets-resnet18", base, base), run("pets-resnet18-cubic", other, other)]
    page = results_markdown(cards)
    assert verdict_of(page, OTHERS).startswith(expected)
    points, right = (base[1] - other[1]) / 10, [N // 2 + only[1] for only in (base, other)]
    line = next(line for line in page.splitlines() if "pets-resnet18 minus pets-resnet18-cubic" in line)
    p_values = re.findall(r"p = ([\d.e-]+), ([\d.e-]+)\)", line)[0]
    assert shown(line.split(": ")[1])[0] == pytest.approx(points, abs=0.05)
    assert all(close(fisher(right[0], right[1], N), p) for p in p_values)


def test_runs_of_other_schedules_or_splits_are_not_compared():
    base = run("pets-resnet18", AHEAD)
    other = run("pets-resnet18-cubic", LEVEL, changed={"epochs": 20})
    split = replace(run("pets-resnet18-cubic", LEVEL), dataset=replace(base.dataset, split="another"))
    seed = replace(run("pets-resnet18-cubic", LEVEL), seed=3)
    for card_of_other in (other, split, seed):
        page = results_markdown([base, card_of_other])
        assert verdict_of(page, OTHERS) == "not tested here"
        assert "## Controls" not in page


def test_five_rounds_are_compared_with_one():
    cards = [run("imagenet-squeezenet1_1", LEVEL, LEVEL), run("imagenet-squeezenet1_1-rounds5", AHEAD, AHEAD)]
    assert verdict_of(results_markdown(cards), "Five rounds gain more than one").startswith("supported")


# --- controls ---------------------------------------------------------------------------------------


def test_controls_stand_in_one_table_with_the_method_and_what_they_imply_in_counts():
    only = {"": (7, 29), "-clip_only": (9, 28), "-noop": (11, 13)}
    cards = [run(f"flowers17-resnet18{end}", counts(*pair, 340, both=278)) for end, pair in only.items()]
    text = section(results_markdown(cards), "## Controls")
    table = {row["run"].removeprefix("flowers17-resnet18"): row for row in rows(text)}
    assert list(table) == list(only)
    for end, (before, after) in only.items():
        row = table[end]
        assert shown(row["baseline"])[0] == pytest.approx((278 + before) / 3.4, abs=0.0501)
        assert shown(row["JPEG-DL"])[0] == pytest.approx((278 + after) / 3.4, abs=0.0501)
        assert number(row["difference"]) == pytest.approx((after - before) / 3.4, abs=0.0501)
        assert close(mcnemar(before, after), row["p"])
        if end:
            assert number(row["against the whole method"]) == pytest.approx((after - 29) / 3.4, abs=0.0501)
            assert close(fisher(278 + after, 278 + 29, 340), row["p 9"])
            assert f"`flowers17-resnet18{end}`" in text
    assert "(the index limit alone): +5.6 points over its baseline, where the whole method has +6.5" in text
    assert "its network and the method's cannot be told apart" in text
    assert text.count("how far two trainings differ by chance") == 1
    assert "trained apart with equal settings, name between 285 and 289 of 340 pictures" in text


@pytest.mark.parametrize("seed", [0, 1])
def test_baselines_that_trained_in_different_precision_are_not_called_equal(seed):
    """Whether the seed's weights are stored, so that its epochs are known, or only its counts."""
    one, other = run("flowers17-resnet18", (7, 29), (5, 20)), run("flowers17-resnet18-noop", (8, 29), (6, 20))
    if seed:
        other = replace(other, other_seeds=(replace(other.other_seeds[0], precisions=("bfloat16",)),))
    else:
        other_way = tuple(replace(epoch, precision="bfloat16") for epoch in other.history["baseline"])
        other = replace(other, history={**other.history, "baseline": other_way})
    text = section(results_markdown([one, other]), "## Controls")
    for number in (0, 1):
        (line,) = [line for line in text.splitlines() if line.startswith(f"- Seed {number}: the rows' baselines")]
        assert ("but in different precision (bfloat16, float32), name" in line) == (number == seed)


def test_a_claim_of_accuracy_says_what_controls_over_the_same_baseline_have():
    cards = [
        run("pets-resnet18", AHEAD, LEVEL),
        run("pets-resnet18-clip_only", (60, 150), (100, 112)),
        run("pets-resnet18-frozen", (61, 165), (100, 90)),  # of its seed 0 the baseline names one less
        run("cub200-resnet18", AHEAD),
    ]
    text = section(results_markdown(cards), "## What these runs say")
    assert "pets-resnet18: +5.2 ± 6.8 points" in text
    assert "; over the same baseline the index limit alone +5.1, tables kept as they start −1.0 (" in text
    assert text.count("over the same baseline") == 1


def test_a_control_that_is_clearly_behind_the_method_is_said_to_be_and_seeds_are_rows():
    cards = [run("pets-resnet18", AHEAD, AHEAD), run("pets-resnet18-frozen", (60, 62), (60, 64), (60, 66))]
    text = section(results_markdown(cards), "## Controls")
    assert [row["seed"] for row in rows(text)] == ["0", "0", "1", "1"]
    assert "clearly fewer pictures than the method's (−9.7 ± 0.1 points over 2 seeds" in text
    assert "baselines of all rows name 560 of 1000" in text


def test_controls_without_the_method_imply_nothing():
    cards = [run("pets-resnet18-frozen", LEVEL), run("pets-resnet18-noop", LEVEL)]
    text = section(results_markdown(cards), "## Controls")
    assert "The whole method was not run" in text
    assert "points over its baseline" not in text


# --- grid -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("grid", [make_grid(), make_grid(psnr=None, lossless=100)])
def test_a_grid_comes_back_from_its_card(grid):
    assert run("cub50-resnet18", LEVEL, grid=grid).grid == grid


def test_a_grid_is_shown_with_intervals_and_p_against_the_baseline_on_raw_pictures():
    page = results_markdown([run("cub50-resnet18", LEVEL, grid=make_grid())])
    text = section(page, "## cub50-resnet18").split("Every input")[1]
    for k, row in enumerate(rows(text)):
        for j, name in enumerate(("baseline network", "JPEG-DL network")):
            right = 60 + 2 * j
            assert shown(row[name])[:3] == pytest.approx([right, *wilson(right, 100)], abs=0.0501)
            if (k, j) == (0, 0):
                assert row[name].endswith("reference")
            else:
                assert close(mcnemar(k, k + 2 * j), row[name].split("p = ")[1])
    assert len(rows(text)) == 5
    for fact in ("n = 100", "9.26 bits a pixel (8.51 without", "97 of 100 files", "31.4 dB", "17 of 128 steps"):
        assert fact in text


FILES = "Smaller files at the same accuracy"


def with_files(right: int, bits: float = 9.26) -> PairCard:
    soft, file = counts(0, 100, both=600), counts(0, 0, both=right)
    cells = {form: dict.fromkeys(ARMS, file if form == "file" else soft) for form in FORMS}
    return run("cub200-resnet18", AHEAD, AHEAD, grid=replace(make_grid(bits_per_pixel=bits), cells=cells))


@pytest.mark.parametrize(
    ("right", "bits", "expected"),
    [
        (700, 9.26, "in the claimed direction, without"),
        (690, 9.26, "in the claimed direction, without"),
        (680, 9.26, "no clear difference"),
        (600, 9.26, "in the opposite direction"),
        (700, 24.5, "in the opposite direction"),
    ],
)
def test_files_count_as_claimed_only_if_small_and_as_accurate_as_the_soft_layer(right, bits, expected):
    page = results_markdown([with_files(right, bits)])
    assert verdict_of(page, FILES).startswith(expected)
    line = next(line for line in page.splitlines() if "bits a pixel; accuracy on files" in line)
    assert number(re.findall(r"files (\S+) points", line)[0]) == pytest.approx((right - 700) / 10)
    assert close(fisher(right, 700, N), re.findall(r"p = ([\d.e-]+),", line)[0])


# --- robustness -------------------------------------------------------------------------------------


def test_attacks_come_back_from_their_card():
    original = [attacked(attack) for attack in SUITE]
    assert robust(original).robustness == tuple(original)


@pytest.mark.parametrize("name", list(REQUIRED))
def test_without_any_one_of_the_required_attacks_no_number_is_printed(name):
    some = [attacked(attack) for attack in SUITE if not REQUIRED[name](attack)]
    assert 0 < len(some) < len(SUITE)
    page = results_markdown([robust(some)])
    text = section(page, "## cifar100-vgg13").split("Departures from the recipe")[1]
    assert f"not shown, since without these attacks they could come from hidden gradients: {name}." in text
    assert not re.search(r"\d %", text)
    assert "|" not in text
    line = next(line for line in page.splitlines() if line.startswith("  - cifar100-vgg13: not judged"))
    assert not shown(line.split("(limits")[0].replace(name, "").replace("cifar100-vgg13", "").split("(")[0])


def test_the_attacks_alone_are_the_same_text_as_on_the_page():
    cards = [robust([attacked(attack) for attack in SUITE[:kept]]) for kept in (len(SUITE), 3)]
    for card_of_run in cards:
        assert robustness_markdown(card_of_run).strip() in results_markdown([card_of_run])
    assert "18.0 %" in robustness_markdown(cards[0])
    assert "%" not in robustness_markdown(cards[1])
    assert robustness_markdown(run("cifar100-vgg13", LEVEL)) == "No attacks were run.\n"


def test_few_steps_do_not_count_as_many():
    weak = (*paper_suite([4 / 255]), *strong_suite([4 / 255], steps=49))
    assert "not shown" in robustness_section([attacked(attack) for attack in weak])


def test_every_attack_is_a_row_with_its_checks_beside_it():
    page = results_markdown([robust([attacked(attack) for attack in SUITE])])
    table = rows(section(page, "## cifar100-vgg13").split("Attacks, each row")[1])
    assert [row["attack"] for row in table] == [attack.name for attack in SUITE]
    for row, attack in zip(table, SUITE, strict=True):
        assert shown(row["baseline, attacked"]) == pytest.approx([18, *wilson(18, 100)], abs=0.0501)
        assert shown(row["JPEG-DL, attacked"]) == pytest.approx([48, *wilson(48, 100)], abs=0.0501)
        assert [shown(row[f"{arm}, clean"])[0] for arm in ("baseline", "JPEG-DL")] == [80, 82]
        assert row["difference"] == "+30.0"
        assert close(mcnemar(5, 35), row["p"])
        assert row["eps × 255"] == "4"
        assert shown(row["steps × restarts"]) == [attack.steps, attack.restarts]
        values, pictures, flat, hard = list(row.values())[-4:]
        assert (values, pictures, flat, hard) == ("2.2% / 24.6%", "1.1% / 12.3%", "38.1%", "7.77")


ROBUST = "More robust to FGSM and PGD"


@pytest.mark.parametrize(
    ("weak", "strong", "expected"),
    [
        ((5, 40), (5, 40), "in the claimed direction, with one seed (full tests: 1)"),
        ((5, 40), (20, 24), "no clear difference"),
        ((40, 5), (40, 5), "in the opposite direction"),
        ((45, 40), (40, 5), "in the opposite direction"),
        ((20, 24), (5, 40), "no clear difference"),
        ((20, 24), (40, 5), "no clear difference"),  # few steps find errors of the baseline's that many do not
    ],
)
def test_robustness_counts_only_if_it_withstands_the_stronger_attacks(weak, strong, expected):
    assert verdict_of(results_markdown([robust(outcome(weak, strong))]), ROBUST).startswith(expected)


@pytest.mark.parametrize(
    ("name", "reasons"),
    [
        ("cifar100-vgg13", "full test"),
        ("cifar100-resnet56", "full test"),
        ("cifar100-resnet32", "other network"),
        ("flowers102-authors-resnet18", "other data; other network"),
        ("pets-efficientnet_lite0-ones", "other data; other network; from ImageNet weights; other first tables"),
    ],
)
def test_attacks_are_a_full_test_only_on_the_data_and_networks_of_the_papers_figure(name, reasons):
    """CIFAR-100, VGG-13 and ResNet-56 in figure 3; a cell of a table on accuracy may be another."""
    page = results_markdown([robust(outcome((5, 40), (5, 40)), name)])
    (line,) = [line for line in page.splitlines() if line.startswith(f"  - {name}: under the paper's attacks")]
    assert line.endswith(f" ({reasons}; one seed)")


def test_signs_of_hidden_gradients_are_listed_and_overrule_a_lead():
    signs = outcome((5, 40), (5, 40))
    flat = [replace(row, checks=replace(CHECKS, flat_coefficients=0.97)) for row in signs]
    weaker = [replace(r, attacked=counts(5, 25, 100, both=13)) if r.attack.method == "square" else r for r in signs]
    for masked in (flat, weaker):
        expected = masking_signs(masked, "jpegdl")
        assert expected
        page = results_markdown([robust(masked)])
        assert all(f"- {sign}" in page for sign in expected)
        assert verdict_of(page, ROBUST).startswith("no clear difference")
        assert f"; {len(expected)} sign{'s' if len(expected) > 1 else ''} of hidden gradients; " in page
    assert finding(signs)[0] == 1
    assert "in the baseline" not in finding(signs)[1]
    assert "no sign of hidden gradients, which is not a proof" in results_markdown([robust(signs)])


@pytest.mark.parametrize("weak", [(5, 40), (20, 24), (40, 5)])
@pytest.mark.parametrize("strong", [(5, 40), (8, 24), (20, 24), (24, 8), (40, 5)])
def test_with_the_networks_exchanged_the_verdict_on_robustness_is_the_opposite(weak, strong):
    there, back = finding(outcome(weak, strong)), finding(outcome(weak[::-1], strong[::-1]))
    assert there[0] == -back[0]


def test_one_clear_row_of_many_is_no_verdict_unless_it_withstands_holms_correction():
    rows = outcome((20, 24), (20, 24))
    family = len(rows)
    for only, decides in ((14, False), (8, True)):
        p = mcnemar(30, only)
        assert p < 0.05
        assert (family * p < 0.05) is decides
        one = [replace(r, attacked=counts(30, only, 100, both=13)) if r.attack.method == "square" else r for r in rows]
        assert finding(one)[0] == (-1 if decides else 0)


def test_signs_that_the_baseline_hides_its_gradients_overrule_a_loss():
    loss = outcome((40, 5), (40, 5))
    assert finding(loss)[0] == -1
    masked = [replace(r, attacked=counts(25, 5, 100, both=13)) if r.attack.method == "square" else r for r in loss]
    expected = masking_signs(masked, "baseline")
    assert expected
    page = results_markdown([robust(masked)])
    assert all(f"- {sign}" in page for sign in expected)
    assert verdict_of(page, ROBUST).startswith("no clear difference")
    assert f"no sign of hidden gradients, and {len(expected)} in the baseline" in page


# --- sentences --------------------------------------------------------------------------------------


def test_the_verdict_names_its_seed_and_the_mean_over_all_seeds():
    one, three = run("cub50-resnet18", (7, 29)), run("cub50-resnet18", (7, 29), (9, 19), (3, 28))
    ahead, chance = (
        "Of 1,000 pictures JPEG-DL names 22 more right than the baseline (2.2 points, ",
        "in 3 of 10,000 cases.",
    )
    assert verdict(one) == f"{ahead}one seed); chance would do this {chance}"
    assert verdict(three) == (
        f"{ahead}seed 0); chance would do this {chance} Over 3 seeds JPEG-DL differs by +1.9 ± 0.8 points."
    )
    assert verdict(run("cub50-resnet18", (8, 8))) == "Both networks name 508 of 1,000 pictures right."


def with_tables(luma: float, chroma: float, name: str = "cub50-resnet18", **facts: Any) -> PairCard:
    last = replace(RECIPES[name], **facts.get("changed", {})).epochs
    steps = tuple(tuple((first,) * 8 for _ in range(8)) for first in (luma, chroma))
    epochs = history(last)
    trained = {"baseline": epochs, "jpegdl": (*epochs[:-1], replace(epochs[-1], steps=(steps,)))}
    return run(name, LEVEL, history=trained, **facts)


@pytest.mark.parametrize(
    ("baseline", "jpegdl", "other", "expected"),
    [
        ("bb", "bb", ("bfloat16",), "bfloat16"),
        ("bb", "ff", ("bfloat16",), "baseline bfloat16; JPEG-DL float32 (seed 1: bfloat16)"),
        ("ff", "ff", ("bfloat16",), "float32 (seed 1: bfloat16)"),
        (
            "bfb",
            "bbf",
            ("bfloat16", "float32"),
            "baseline bfloat16 to epoch 1, float32 to epoch 2, bfloat16 to epoch 3; "
            "JPEG-DL bfloat16 to epoch 2, float32 to epoch 3",
        ),
    ],
)
def test_it_is_said_which_epochs_and_seeds_ran_in_which_precision(baseline, jpegdl, other, expected):
    card = run("cifar100-resnet32", (10, 30), (11, 31), changed={"epochs": len(baseline)})
    names: dict[str, Precision] = {"b": "bfloat16", "f": "float32"}
    letters_of: dict[Arm, str] = {"baseline": baseline, "jpegdl": jpegdl}
    changed = {
        arm: tuple(
            replace(epoch, precision=names[letter]) for epoch, letter in zip(card.history[arm], letters, strict=True)
        )
        for arm, letters in letters_of.items()
    }
    (second,) = card.other_seeds
    card = replace(card, history=changed, other_seeds=(replace(second, precisions=other),))
    assert precision_text(card) == expected
    assert f", in {expected}, " in results_markdown([card])
    assert f"networks in {expected}" in about(card)


def test_the_limit_of_a_blocks_mean_is_an_eighth_of_the_largest_level():
    page = results_markdown([with_tables(0.13, 16.0)])
    assert f"limit a block's mean brightness to ± {127 * 0.13 / 8:.1f} grey levels" in page
    assert "mean colour" not in page
    assert "What part of the difference comes from that: not tested here." in page
    assert "leave the mean of every block as it is" in results_markdown([with_tables(8.1, 8.1)])


def test_a_layer_that_cuts_nothing_off_is_not_said_to():
    for odd in ({"bits": None}, {"quantizer": "identity"}):
        assert "grey levels" not in results_markdown([with_tables(0.1, 0.1, changed=odd)])
    assert "grey levels" not in results_markdown([run("flowers17-resnet18-first_relu", LEVEL)])


def test_the_section_of_a_run_says_what_part_its_controls_make():
    page = results_markdown([with_tables(0.1, 0.1), run("cub50-resnet18-clip_only", LEVEL)])
    assert "not tested here." not in section(page, "## cub50-resnet18")
    assert "- The index limit alone: +0.4 of +0.4 points; no clear difference from" in section(
        page, "## cub50-resnet18"
    )
    assert "The layer of its JPEG-DL arm: the index limit alone" in page


def test_no_page_holds_a_missing_number():
    cards = [
        with_tables(0.1, 9, grid=make_grid(psnr=None, lossless=100)),
        run("cub50-resnet18-quantize_only", LEVEL, changed={"alpha": None, "hardness": 2.0, "bits": 4}),
        run("cub50-resnet18-noop", (0, 0)),
        run("flowers17-resnet18-first_relu", (0, 0), (0, 0), (0, 0)),
        robust(outcome((5, 40), (40, 5))),
        *(run(name, AHEAD, LEVEL) for name in RECIPES if name.startswith("imagenet")),
    ]
    page = results_markdown(cards[:3], cards[3:])
    assert not re.search(r"\b(None|nan|inf|NaN)\b", page)
    assert not re.search(r"\n\n\n", page)
    assert page.endswith("\n")
    assert not page.endswith("\n\n")


def test_a_bar_in_a_title_stays_inside_its_cell():
    odd = run("cub50-resnet18", LEVEL, dataset=dataset_facts(title="a|b"))
    assert rows(section(results_markdown([odd]), "## All runs"))[0]["data"] == r"a\|b"


def test_the_section_of_a_grid_and_of_attacks_is_not_there_without_them():
    page = results_markdown([run("cub50-resnet18", LEVEL)])
    assert "Every input" not in page
    assert "Attacks" not in page
    assert grid_section(make_grid()).startswith("Every input to both networks, n = 100")
    assert claims_section(gather([])).count("\n- ") == len(CLAIMS)
