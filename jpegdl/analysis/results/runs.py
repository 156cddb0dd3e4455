"""Runs from cards: all seeds of one recipe, which can be compared, and what their differences amount to."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from statistics import mean, stdev

from jpegdl.analysis.results.paper import (
    CONTROLS,
    FIRST_TABLES,
    METHODS,
    PAPER,
    PaperFigure,
    difference_of,
    network_of,
)
from jpegdl.pairs.card import PairCard
from jpegdl.pairs.chances import fisher, t_test
from jpegdl.pairs.classifier import Arm
from jpegdl.pairs.comparison import Comparison
from jpegdl.pairs.facts import Part
from jpegdl.pairs.recipe import shared_settings
from jpegdl.pairs.seeds import summary, with_seeds

LEVEL = 0.05  # of every test on the page


@dataclass(frozen=True, kw_only=True)
class TrainedRun:
    """One recipe as it was trained, with all its seeds, in the order of the cards."""

    card: PairCard  # with all seeds; tables, grid and attacks belong to its first
    shipped: bool  # its weights are stored
    repeated: str = ""  # name of a run without its flaw that tries the same: data, network, size, whole method or not

    @property
    def seeds(self) -> Mapping[int, Mapping[Part, Comparison]]:
        """Seed -> set of pictures -> counts."""
        others = {other.seed: other.results for other in self.card.other_seeds}
        return {self.card.seed: self.card.results, **others}

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
        key, run = _key(card), TrainedRun(card=card, shipped=shipped)
        if known := runs.get(key):
            for seed, results in run.seeds.items():
                if known.seeds.get(seed, results) != results:
                    raise ValueError(f"{card.name}: two cards hold other counts of seed {seed}; remove one of them")
            joined = with_seeds(known.card, [summary(card), *card.other_seeds])
            run = TrainedRun(card=joined, shipped=known.shipped or shipped)
        runs[key] = run
    sound = {_what(run): run.card.name for run in runs.values() if not run.card.flaws}
    return [replace(run, repeated=sound.get(_what(run), "")) if run.card.flaws else run for run in runs.values()]


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


def _key(card: PairCard) -> str:
    return json.dumps([card.name, asdict(card.recipe), card.dataset.split, card.results["test"].n], sort_keys=True)


def _shared_key(run: TrainedRun) -> str:
    shared = shared_settings(run.card.recipe)
    pictures = run.card.results["test"].n
    return json.dumps([run.network, shared, run.card.dataset.split, pictures], sort_keys=True)
