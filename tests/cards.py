"""Cards of invented runs, and the arithmetic of their counts done in another way."""

import json
import math
from dataclasses import asdict
from typing import Any

from scipy import stats

from jpegdl.analysis.grid import FORMS, Grid
from jpegdl.analysis.robustness import GradientChecks, RobustAccuracy
from jpegdl.analysis.suites import Attack, paper_suite, strong_suite
from jpegdl.pairs.card import PairCard, card_from_json, card_to_json
from jpegdl.pairs.classifier import ARMS
from jpegdl.pairs.comparison import Comparison
from jpegdl.training.catalogue import RECIPES
from tests.tiny import card

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
    recipe = json.loads(json.dumps(asdict(RECIPES[name])))
    changed = facts.pop("changed", {})
    departed = {field: recipe[field] for field in changed}
    results = [{"test": c if isinstance(c, Comparison) else counts(*c)} for c in seeds]
    others = [
        {"seed": seed, "results": sets, "steps": None, "seconds": {"baseline": 60, "jpegdl": 90}}
        for seed, sets in enumerate(results[1:], 1)
    ]
    known: dict[str, Any] = {
        "name": name,
        "title": f"title of {name}",
        "architecture": recipe["architecture"],
        "recipe": recipe | changed,
        "paper_recipe": departed,
        "place": recipe["place"],
        "results": results[0],
        "other_seeds": others,
        "dataset": {
            "title": f"title of {recipe['dataset']}",
            "split": "official",
            "pictures": {"train": 500, "validation": 50, "test": N},
        },
        "training": {"device": "invented", "threads": 3, "seconds": {"baseline": 120, "jpegdl": 240}},
    }
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


def stored(grid: Grid) -> dict[str, Any]:
    return json.loads(json.dumps(asdict(grid)))


def attacked(attack: Attack, only: tuple[int, int] = (5, 35)) -> RobustAccuracy:
    clean, left = counts(10, 12, 100, both=70), counts(*only, 100, both=13)
    return RobustAccuracy(attack=attack, clean=clean, attacked=left, checks=CHECKS)


def robust(rows_: list[RobustAccuracy], name: str = "cifar100-vgg13") -> PairCard:
    return run(name, LEVEL, robustness=json.loads(json.dumps([asdict(row) for row in rows_])))


def outcome(weak: tuple[int, int], strong: tuple[int, int]) -> list[RobustAccuracy]:
    """The same counts under all of the paper's attacks, and under all others."""
    papers = paper_suite([4 / 255])
    return [attacked(attack, weak if attack in papers else strong) for attack in SUITE]
