"""The Evidence screen: for all pairs and controls the numbers of docs/results.md, as tables on the page."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

from jpegdl.analysis.results.evidence import Evidence
from jpegdl.analysis.results.findings import Counted, MapNumber, Maps, RunEvidence
from jpegdl.analysis.results.runs import mean_and_deviation
from jpegdl.analysis.results.words import plain, signed, standing
from jpegdl.pairs.card import PairCard
from jpegdl.pairs.checkpoints import CheckpointError, load_records
from jpegdl.ui.rendering import percent, render

RECORDS = Path(__file__).parents[2] / "docs" / "results"  # cards of runs whose weights are not kept

OUTCOMES = ("both", "only_baseline", "only_jpegdl", "neither")  # what a picture can show, as the cards count it
_OUTCOME_NAMES = ("both right", "only the baseline right", "only JPEG-DL right", "neither right")
_CURVES = {  # curves, by their measure in words
    "deletion": "the marked cells go first, so a small number speaks for a map",
    "insertion": "the marked cells come first, so a large number speaks for a map",
}


def gather_evidence(cards: Iterable[PairCard]) -> Evidence:
    """What is known about the pairs that are shown, and about the runs whose cards lie in RECORDS, as far as these can
    be read; `unread_records` says which cannot."""
    return Evidence(cards, _records(RECORDS)[0])


def unread_records() -> list[str]:
    """A sentence for each run on record whose card cannot be read: verdicts and controls are told without it."""
    return [f"A run on record is left out of the evidence: {error}" for error in _records(RECORDS)[1]]


@cache
def _records(folder: Path) -> tuple[list[PairCard], list[CheckpointError]]:
    return load_records(folder)


def evidence_screen(found: Evidence, name: str) -> str:
    """HTML, with the pair of this name first."""
    ordered = sorted(found.runs, key=lambda run: (not run.shipped or run.name != name, not run.shipped))
    return render(
        "evidence.html",
        runs=ordered,
        shown=[run for run in ordered if run.shipped],
        current=next((run for run in found.runs if run.shipped and run.name == name), None),
        maps=found.maps,
        claims=found.claims,
        counts_of=counts_of,
        of_all_sizes=of_all_sizes,
        map_cells=map_cells,
        curves=_CURVES,
        kind_of_test=kind_of_test,
    )


def kind_of_test(limits: Sequence[str], seeds: int) -> str:
    """A sentence on how far a run tests the paper."""
    said = standing(limits, seeds)
    return f"No full test of the paper: {said}." if limits else f"The paper’s data, network and recipe: {said}."


def counts_of(counted: Counted) -> list[tuple[str, str, int]]:
    """(key, name, number) of the four counts."""
    return [(key, name, getattr(counted, key)) for key, name in zip(OUTCOMES, _OUTCOME_NAMES, strict=True)]


def of_all_sizes(maps: Maps) -> dict[str, list[MapNumber]]:
    """The last stage's numbers over boxes of all sizes, by measure in words."""
    last, found = maps.numbers[-1].stage, defaultdict(list)
    for number in maps.numbers:
        if number.stage == last and not number.size and number.value is not None:
            found[number.meaning].append(number)
    return found


def map_cells(number: MapNumber) -> dict[str, str]:
    """Texts for "baseline", "jpegdl" and "difference"; a map that no network made is the same for both.

    Shares in percent, their differences in points; the interval stands behind what it belongs to.
    """
    share = number.measure in ("share", "pointing")
    digits = 1 if share else 3
    one = percent if share else partial(plain, digits=digits)
    sides = [one(x) for x in (number.baseline, number.jpegdl) if x is not None]
    value, low, high = (x for x in (number.value, number.low, number.high) if x is not None)
    interval = "[" + ", ".join(plain(x, digits, sign=bool(sides)) for x in (low, high)) + "]"
    if not sides:
        return {"baseline": f"{one(value)} {interval}", "jpegdl": "the same", "difference": ""}
    baseline, jpegdl = sides
    return {"baseline": baseline, "jpegdl": jpegdl, "difference": f"{plain(value, digits, sign=True)} {interval}"}


def test_facts(run: RunEvidence) -> dict[str, Any]:
    """What the verdict says of a pair's test set on demand: intervals, chance, and what part the controls explain."""
    test = run.sets["test"]
    return {
        "beside": _beside(run),
        "intervals": {
            arm: f"{share.low:.1f} to {share.high:.1f}"
            for arm, share in (("baseline", test.baseline), ("jpegdl", test.jpegdl))
        },
        "sentences": [
            text
            for text in (run.verdict, run.limit, *(control.sentence for control in run.controls), *run.flaws)
            if text
        ],
    }


def _beside(run: RunEvidence) -> str | None:
    """What belongs beside the difference of the networks shown: a control's, else that of all seeds, if there are."""
    if run.controls:
        return f"{signed(run.controls[0].counted.points)}: {run.controls[0].layer}"
    if len(run.seeds) > 1:
        mean, deviation = mean_and_deviation([counted.points for counted in run.seeds.values()])
        return f"{signed(mean)} ± {deviation:.1f}: {len(run.seeds)} seeds"
    return None


__all__ = ["OUTCOMES", "evidence_screen", "gather_evidence", "test_facts"]
