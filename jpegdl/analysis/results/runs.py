"""Runs from cards: all seeds of one recipe, how far they can be compared, and what their differences amount to."""

import json
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from statistics import mean, stdev
from typing import Any

from jpegdl.analysis.results.paper import (
    CONTROLS,
    DATA,
    FIRST_TABLES,
    METHODS,
    PAPER,
    Figure,
    PaperFigure,
    difference_of,
    network_of,
)
from jpegdl.pairs.card import PairCard
from jpegdl.pairs.chances import fisher, t_test
from jpegdl.pairs.classifier import ARMS, Arm
from jpegdl.pairs.comparison import Comparison
from jpegdl.pairs.facts import Epoch, Part
from jpegdl.pairs.recipe import shared_settings
from jpegdl.pairs.seeds import summary, with_seeds

LEVEL = 0.05  # of every test on the page
_NETWORKS = {part for name in PAPER for part in name.split("-")}
FLAW, REPEATED = "a known flaw (see its section)", "trained again without it"


@dataclass(frozen=True, kw_only=True)
class TrainedRun:
    """One recipe as it was trained, with all its seeds, in the order of the cards."""

    card: PairCard  # with all seeds; tables, grid and attacks belong to its first
    shipped: bool  # its weights are stored
    seeds: Mapping[int, Mapping[Part, Comparison]]  # seed -> set of pictures -> counts
    repeated: bool = False  # has a flaw, and another run of the same data, network and size does the same without

    @property
    def recipe_name(self) -> str:
        return self.card.recipe.name

    @property
    def dataset(self) -> str:
        return self.card.recipe.dataset

    @property
    def network(self) -> str:
        return network_of(self.card.architecture)

    @property
    def difference(self) -> str:
        """End of the recipe's name: a key of CONTROLS, METHODS or FIRST_TABLES, or empty for the method itself."""
        return difference_of(self.recipe_name, self.dataset, self.card.architecture)

    @property
    def whole_method(self) -> bool:
        """Is its layer the paper's, whatever tables it started from?"""
        return self.difference in ("", *FIRST_TABLES)

    @property
    def figure(self) -> PaperFigure | None:
        """The paper's cell for this recipe, also if the run departed from it."""
        return PAPER.get(self.recipe_name)

    @property
    def test(self) -> Mapping[int, Comparison]:
        """Seed -> counts on the test set."""
        return {seed: results["test"] for seed, results in self.seeds.items()}


@dataclass(frozen=True)
class Effect:
    """A difference in percentage points for each seed, and each seed's p value, two-sided."""

    points: tuple[float, ...]
    p_values: tuple[float, ...]

    @property
    def seeds_p(self) -> float | None:
        """Paired t test of the seeds' differences against 0; None for fewer than three or for equal differences."""
        if len(self.points) < 3 or len(set(self.points)) == 1:
            return None
        return t_test(self.points)

    @property
    def direction(self) -> int:
        """1 or -1 for a clear gain or loss, 0 where chance could explain it.

        Clear: all seeds have the same sign, and either each has p < LEVEL or the t test over them has.
        """
        signs = {(point > 0) - (point < 0) for point in self.points}
        if len(signs) != 1:
            return 0
        over_seeds = self.seeds_p
        certain = max(self.p_values) < LEVEL or (over_seeds is not None and over_seeds < LEVEL)
        return signs.pop() if certain else 0


def gather(pairs: Iterable[PairCard], records: Iterable[PairCard] = ()) -> list[TrainedRun]:
    """Cards of one name, recipe and split become one run with all their seeds; order is kept.

    Raises ValueError for a card without counts on a test set, and for two different counts of one seed.
    """
    runs: dict[str, TrainedRun] = {}
    for card, shipped in [*((card, True) for card in pairs), *((card, False) for card in records)]:
        key = _key(card, card.results["test"].n)
        if known := runs.get(key):
            for seed, results in _seeds(card).items():
                if known.seeds.get(seed, results) != results:
                    raise ValueError(f"{card.name}: two cards hold other counts of seed {seed}; remove one of them")
            more = [other for other in (summary(card), *card.other_seeds) if other.seed not in known.seeds]
            card, shipped = with_seeds(known.card, more), known.shipped or shipped
        runs[key] = TrainedRun(card=card, shipped=shipped, seeds=_seeds(card))
    sound = {_what(run) for run in runs.values() if not run.card.flaws}
    return [replace(run, repeated=bool(run.card.flaws) and _what(run) in sound) for run in runs.values()]


def _what(run: TrainedRun) -> tuple[str, str, int, str]:
    """What a run tried, however it was trained."""
    return run.dataset, run.network, run.card.input_size, "" if run.whole_method else run.difference


def gain(run: TrainedRun) -> Effect:
    """JPEG-DL minus baseline on the test set, with McNemar's p."""
    counts = run.test.values()
    return Effect(tuple(points(c) for c in counts), tuple(c.p_value for c in counts))


def ahead_of(first: TrainedRun, second: TrainedRun) -> Effect:
    """JPEG-DL arm of `first` minus that of `second`, at equal seeds, with Fisher's exact p.

    Which pictures each of the two got right is not in the cards, so the counts count as unpaired, which is the more
    cautious test for two networks that mostly agree.
    """
    seeds = [seed for seed in first.test if seed in second.test]
    compared = [unpaired(first.test[seed], second.test[seed]) for seed in seeds]
    return Effect(tuple(point for point, _ in compared), tuple(p for _, p in compared))


def unpaired(first: Comparison, second: Comparison) -> tuple[float, float]:
    """Points by which the JPEG-DL side of `first` is ahead of that of `second`, and Fisher's exact p, two-sided."""
    right = first.correct("jpegdl"), second.correct("jpegdl")
    difference = 100 * (right[0] * second.n - right[1] * first.n) / (first.n * second.n)
    return difference, fisher(right, (first.n, second.n))


def points(counts: Comparison) -> float:
    """JPEG-DL minus baseline in percentage points."""
    return 100 * (counts.correct("jpegdl") - counts.correct("baseline")) / counts.n


def accuracies(run: TrainedRun, arm: Arm) -> list[float]:
    """Test accuracy of each seed, percent."""
    return [100 * counts.accuracy(arm) for counts in run.test.values()]


def mean_and_deviation(values: Sequence[float]) -> tuple[float, float]:
    """Mean and sample standard deviation (n - 1) of at least two values."""
    return mean(values), stdev(values)


def departures(card: PairCard) -> list[str]:
    """Settings in which the run differs from the recipe of its name, as 'epochs 20 instead of 240'."""
    return [
        f"{field.replace('_', ' ')} {_plain(getattr(card.recipe, field))} instead of {_plain(value)}"
        for field, value in card.departures.items()
    ]


def precision_text(card: PairCard) -> str:
    """In which precision the networks of all seeds were trained: "bfloat16", or which epochs and seeds ran how."""
    arms = {arm: _precisions(card.history[arm]) for arm in ARMS}
    first, second = arms.values()
    own = first if first == second else f"baseline {first}; JPEG-DL {second}"
    known = {epoch.precision for arm in ARMS for epoch in card.history[arm]}
    others = [
        f"seed {other.seed}: {' and '.join(other.precisions)}"
        for other in card.other_seeds
        if set(other.precisions) != known
    ]
    return f"{own} ({', '.join(others)})" if others else own


def _precisions(epochs: Sequence[Epoch]) -> str:
    """Of one arm, such as "bfloat16 to epoch 98, float32 to epoch 200"."""
    spans = [(name, [*span][-1].number) for name, span in groupby(epochs, lambda epoch: epoch.precision)]
    return spans[0][0] if len(spans) == 1 else ", ".join(f"{name} to epoch {last}" for name, last in spans)


def limits(run: TrainedRun, figure: Figure | None = None) -> list[str]:
    """Why a run is no full test of its cell of the paper's tables, or of a figure; empty if it is one.

    A full test has the paper's data, network and first tables and its recipe without departures, with however many
    seeds.
    """
    if figure is not None:
        reasons = _others(run, figure.data, figure.networks)
    elif run.figure is None:
        reasons = _others(run, DATA, _NETWORKS) or ["not a cell of the paper's tables"]
    else:
        reasons = []
    reasons += departures(run.card)
    if len({_precisions(run.card.history[arm]) for arm in ARMS}) > 1:
        reasons.append("the two networks trained in different precision")
    if run.card.flaws:
        reasons += [FLAW, REPEATED] if run.repeated else [FLAW]
    return reasons


def _others(run: TrainedRun, data: Container[str], networks: Container[str]) -> list[str]:
    """In what a run differs from these data and networks, trained as the paper trains them."""
    reasons = []
    if run.dataset not in data:
        reasons.append("other data")
    if run.network not in networks:
        reasons.append("other network")
    if run.card.recipe.start != "scratch":
        reasons.append("from ImageNet weights")
    if run.difference in FIRST_TABLES:
        reasons.append("other first tables")
    return reasons


def groups(runs: Iterable[TrainedRun]) -> list[list[TrainedRun]]:
    """Runs that may be compared with each other: same data, split, network, schedule, size and number of pictures."""
    found: dict[str, list[TrainedRun]] = {}
    for run in runs:
        found.setdefault(_shared_key(run), []).append(run)
    return [group for group in found.values() if len(group) > 1]


def meaning(run: TrainedRun) -> str:
    """What the layer of this run is, in words."""
    known = {"": "JPEG-DL", **CONTROLS, **METHODS, **FIRST_TABLES}
    return known.get(run.difference, run.difference)


def _seeds(card: PairCard) -> dict[int, Mapping[Part, Comparison]]:
    found = {card.seed: card.results}
    return found | {other.seed: other.results for other in card.other_seeds}


def _key(card: PairCard, pictures: int) -> str:
    return json.dumps([card.name, asdict(card.recipe), card.dataset.split, pictures], sort_keys=True)


def _shared_key(run: TrainedRun) -> str:
    shared = shared_settings(run.card.recipe)
    pictures = next(iter(run.test.values())).n
    return json.dumps([run.network, shared, run.card.dataset.split, pictures], sort_keys=True)


def _plain(value: Any) -> str:
    if value is None:
        return "nothing"
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
