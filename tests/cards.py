"""Cards of invented runs, and the arithmetic of their counts done in another way."""

import math
from dataclasses import replace
from typing import Any

import torch
from scipy import stats

from jpegdl.analysis.suites import paper_suite, strong_suite
from jpegdl.pairs.card import PairCard, card_from_json, card_to_json
from jpegdl.pairs.classifier import ARMS
from jpegdl.pairs.comparison import Comparison
from jpegdl.pairs.facts import PARTS, OtherSeed, Pictures, tables_of
from jpegdl.pairs.measured import FORMS, Attack, GradientChecks, Grid, RobustAccuracy
from jpegdl.pairs.recipe import with_epochs
from jpegdl.training.catalogue import RECIPES
from tests.tiny import card, dataset_facts, training_facts

N = 1000
AHEAD, BEHIND, LEVEL = (60, 160), (160, 60), (100, 104)  # only baseline, only JPEG-DL, of 1000
CHECKS = GradientChecks(
    n=100,
    zero_gradient_pictures={"baseline": 0.011, "jpegdl": 0.123},
    zero_gradient_values={"baseline": 0.022, "jpegdl": 0.246},
    flat_coefficients=0.381,
    median_hardness=7.77,
    median_hardness_luma=1.0,
    median_hardness_chroma=8.0,
    hard_entries=0.5,
)
SUITE = (*paper_suite([4 / 255]), *strong_suite([4 / 255]))


def counts(only_baseline: int, only_jpegdl: int, n: int = N, both: int | None = None) -> Comparison:
    both = n // 2 if both is None else both
    neither = n - both - only_baseline - only_jpegdl
    return Comparison(both=both, only_baseline=only_baseline, only_jpegdl=only_jpegdl, neither=neither)


def run(name: str, *seeds: tuple[int, int] | Comparison, **facts: Any) -> PairCard:
    """A card as it is read from disk: the named recipe, counts for seeds 0, 1, ...; `changed`: departures."""
    named, changed = RECIPES[name], facts.pop("changed", {})
    results = [dict.fromkeys(PARTS, c if isinstance(c, Comparison) else counts(*c)) for c in seeds]
    others = (
        OtherSeed(seed=seed, results=sets, steps=None, seconds={"baseline": 60, "jpegdl": 90}, precisions=("float32",))
        for seed, sets in enumerate(results[1:], 1)
    )
    known: dict[str, Any] = {
        "name": name,
        "title": f"title of {name}",
        "recipe": replace(with_epochs(named, changed.get("epochs", named.epochs)), **changed),
        "paper_recipe": named,
        "results": results[0],
        "other_seeds": tuple(others),
        "dataset": dataset_facts(
            name=named.dataset,
            title=f"title of {named.dataset}",
            split="official",
            pictures=Pictures(train=500, validation=50, test=N),
        ),
        "training": {
            "baseline": training_facts(device="invented", threads=3, seconds=120),
            "jpegdl": training_facts(device="invented", threads=3, seconds=240),
        },
    }
    if named.place == "first relu":
        known["initial_tables"] = (tables_of(torch.ones(64, 8, 8).tolist()),)
    return card_from_json(card_to_json(card(**(known | facts))))


def wilson(right: int, n: int) -> tuple[float, float]:
    """95 % interval, percent, in closed form."""
    z, share = stats.norm.ppf(0.975), right / n
    middle, half = share + z**2 / (2 * n), z * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return 100 * (middle - half) / (1 + z**2 / n), 100 * (middle + half) / (1 + z**2 / n)


def mcnemar(only_baseline: int, only_jpegdl: int) -> float:
    """Exact, two-sided: twice the smaller tail of a fair coin."""
    n, smaller = only_baseline + only_jpegdl, min(only_baseline, only_jpegdl)
    return min(1.0, 2 * sum(math.comb(n, k) for k in range(smaller + 1)) / 2**n)


def fisher(first: int, second: int, n: int) -> float:
    """Two-sided: all tables with these margins that are no likelier than this one."""
    tables = stats.hypergeom(2 * n, first + second, n)
    likelihood = [tables.pmf(k) for k in range(n + 1)]
    return sum(p for p in likelihood if p <= likelihood[first] * (1 + 1e-7))


def make_grid(**facts: Any) -> Grid:
    """Cells against a baseline of 60 of 100 on raw pictures; the network gains one more with every form."""
    cells = {
        form: {arm: counts(k, k + 2 * j, 100, both=60 - k) for j, arm in enumerate(ARMS)}
        for k, form in enumerate(FORMS)
    }
    known = {"bits_per_pixel": 9.26, "bits_per_pixel_without_headers": 8.51, "raised_steps": 17, "steps": 128}
    return Grid(cells=cells, **(known | {"psnr": 31.42, "lossless": 3} | facts))


def attacked(attack: Attack, only: tuple[int, int] = (5, 35)) -> RobustAccuracy:
    clean, left = counts(10, 12, 100, both=70), counts(*only, 100, both=13)
    return RobustAccuracy(attack=attack, clean=clean, attacked=left, checks=CHECKS)


def robust(rows_: list[RobustAccuracy], name: str = "cifar100-vgg13") -> PairCard:
    return run(name, LEVEL, robustness=tuple(rows_))


def outcome(weak: tuple[int, int], strong: tuple[int, int]) -> list[RobustAccuracy]:
    """The same counts under all of the paper's attacks, and under all others."""
    papers = paper_suite([4 / 255])
    return [attacked(attack, weak if attack in papers else strong) for attack in SUITE]
