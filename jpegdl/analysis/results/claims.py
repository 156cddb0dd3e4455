"""What the paper claims, and what the runs at hand say about it, by rules instead of by hand."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import product

from jpegdl.analysis.results.controls import controls_in_short
from jpegdl.analysis.results.grid import RAW_BITS
from jpegdl.analysis.results.limits import REPEATED, limits
from jpegdl.analysis.results.map_numbers import MapTable
from jpegdl.analysis.results.maps import answer
from jpegdl.analysis.results.markdown import effect_text, format_p
from jpegdl.analysis.results.paper import ATTACKS, MAPS
from jpegdl.analysis.results.robustness import finding
from jpegdl.analysis.results.runs import LEVEL, TrainedRun, ahead_of, gain, groups, unpaired
from jpegdl.analysis.results.words import signed, standing

UNKNOWN_BITS = "how the paper counted bits is not known"
SAME_ACCURACY = 1.0  # points by which files may differ from the soft layer and count as equal

RULES = (
    "A run is a *full test* of a cell if it has the paper's data and network and the recipe without departures; "
    "anything else is reported as what it is, in brackets behind each run. Data without a validation part of "
    "their own give one up here: a tenth of the training pictures (a hundredth of ImageNet's), on which the paper"
    " trains. A claim counts as supported or contradicted only by full tests with at least two seeds: what one "
    "seed shows, another training may not show again, however sure its pictures make it. A difference is clear if"
    f" all seeds have the same sign and either each has p < {LEVEL} or, with three seeds and more, a t test over their "
    "differences has; a clear difference in the other direction counts just as much. Under attack a network is "
    "more robust if it has a clear lead under an attack stronger than the paper's that is made on itself, is "
    f"clearly behind in no row and shows no sign of hidden gradients; clear is p < {LEVEL} after Holm's correction "
    "over all rows of the pair, in either direction. Maps are judged at the network's last stage; where an earlier one"
    " says otherwise, its numbers stand beside. A run with a known flaw decides no verdict once the same data and"
    " network were trained without it. Seeds share their test pictures, so their counts are never added up. Where"
    " nothing differs, chance still makes about one run in twenty look clear."
)


@dataclass(frozen=True)
class Evidence:
    """What one run, or two compared runs, say about a claim."""

    run: str
    direction: int  # 1: as claimed, -1: the opposite, 0: no clear difference
    text: str  # the numbers behind it
    limits: tuple[str, ...]  # why this is no full test; empty if it is one
    seeds: int  # so many trainings are behind it


@dataclass(frozen=True)
class Claim:
    """One claim of the paper and where it stands; `cells` is how many cells of its tables make it, if that is known."""

    text: str
    where: str
    cells: int | None
    find: Callable[[Sequence[TrainedRun]], list[Evidence]]


def verdict_on(evidence: Sequence[Evidence], cells: int | None = None) -> str:
    """One of a few fixed verdicts; `cells` as in `Claim`."""
    full = [item for item in evidence if not item.limits]
    limited = [item for item in evidence if item.limits]
    limited = [item for item in limited if not any(limit.startswith(REPEATED) for limit in item.limits)] or limited
    if not evidence:
        return "not tested here"
    if not full:
        return _shown(limited) + ", without a full test"
    repeated = [item for item in full if item.seeds > 1]
    once = len(full) - len(repeated)
    verdict = _judged(repeated) if repeated else _shown(full) + ", with one seed"
    verdict += f" (full tests: {len(full)}"
    verdict += f" of {cells} cells" if cells is not None else ""
    verdict += f", {once} with one seed)" if repeated and once else ")"
    opposite = {(True, False): -1, (False, True): 1}.get(_found(repeated or full))
    others = [*limited, *(item for item in full if repeated and item.seeds == 1)]
    return verdict + ("; other runs point the other way" if opposite in {e.direction for e in others} else "")


def _shown(evidence: Sequence[Evidence]) -> str:
    return {
        (True, False): "in the claimed direction",
        (False, True): "in the opposite direction",
        (True, True): "contradictory",
        (False, False): "no clear difference",
    }[_found(evidence)]


def _judged(evidence: Sequence[Evidence]) -> str:
    return {
        (True, False): "supported" if all(item.direction > 0 for item in evidence) else "supported in part",
        (False, True): "contradicted" if all(item.direction < 0 for item in evidence) else "contradicted in part",
        (True, True): "contradictory",
        (False, False): "not supported: no clear difference",
    }[_found(evidence)]


def claims_section(runs: Sequence[TrainedRun]) -> str:
    """Markdown: each claim with its verdict and the evidence behind it, then the rules."""
    lines = ["## What these runs say about the paper's claims\n"]
    for claim in CLAIMS:
        evidence = claim.find(runs)
        lines.append(f"- {claim.text} ({claim.where}): **{verdict_on(evidence, claim.cells)}**")
        for item in evidence:
            lines.append(f"  - {item.run}: {item.text} ({standing(item.limits, item.seeds)})")
    return "\n".join(lines) + f"\n\n{RULES}\n\n"


def _found(evidence: Iterable[Evidence]) -> tuple[bool, bool]:
    """Is there any clear difference as claimed, and any opposite one?"""
    directions = {item.direction for item in evidence}
    return 1 in directions, -1 in directions


def _gains(*datasets: str) -> Callable[[Sequence[TrainedRun]], list[Evidence]]:
    """The whole method against its baseline on these data, and what its controls have over the same baseline."""
    return _gains_of(lambda run: run.whole_method and run.dataset in datasets)


def _gains_of(chosen: Callable[[TrainedRun], bool]) -> Callable[[Sequence[TrainedRun]], list[Evidence]]:
    return lambda runs: [_gain(run, runs) for run in runs if chosen(run)]


def _gain(run: TrainedRun, runs: Sequence[TrainedRun]) -> Evidence:
    effect, controls = gain(run), controls_in_short(run, runs)
    text = effect_text(effect) + (f"; over the same baseline {controls}" if controls else "")
    return Evidence(run.card.name, effect.direction, text, tuple(limits(run)), len(run.seeds))


def _ahead(first: str, *seconds: str) -> Callable[[Sequence[TrainedRun]], list[Evidence]]:
    """The JPEG-DL arm of the recipe's variation `first` against that of its variations `seconds`."""

    def find(runs: Sequence[TrainedRun]) -> list[Evidence]:
        found = []
        for group in groups(runs):
            for one, other in product(group, group):
                effect = ahead_of(one, other)
                if one.difference == first and other.difference in seconds and effect.points:
                    reasons = tuple(dict.fromkeys([*limits(one), *limits(other)]))
                    name = f"{one.card.name} minus {other.card.name}"
                    seeds = len(effect.points)
                    found.append(Evidence(name, effect.direction, effect_text(effect), reasons, seeds))
        return found

    return find


def _robust(runs: Sequence[TrainedRun]) -> list[Evidence]:
    found = []
    for run in runs:
        if run.card.robustness and run.whole_method:
            direction, text = finding(run.card.robustness)
            found.append(Evidence(run.card.name, direction, text, tuple(limits(run, ATTACKS)), 1))
    return found


def _files(runs: Sequence[TrainedRun]) -> list[Evidence]:
    """A direction as claimed needs files below RAW_BITS whose accuracy is within SAME_ACCURACY of the soft layer's."""
    found = []
    for run in runs:
        if run.card.grid and run.whole_method:
            grid = run.card.grid
            points, p = unpaired(grid.cells["file"]["jpegdl"], grid.cells["soft"]["jpegdl"])
            worse = (points < 0 and p < LEVEL) or grid.bits_per_pixel >= RAW_BITS
            direction = -1 if worse else int(points >= -SAME_ACCURACY)
            text = (
                f"{grid.bits_per_pixel:.2f} bits a pixel; accuracy on files {signed(points)} points from the soft "
                f"layer's (p = {format_p(p)}, n = {grid.cells['file']['jpegdl'].n})"
            )
            found.append(Evidence(run.card.name, direction, text, (*limits(run), UNKNOWN_BITS), 1))
    return found


def _maps(runs: Sequence[TrainedRun]) -> list[Evidence]:
    found = []
    for run in runs:
        if run.card.maps and run.whole_method:
            direction, text = answer(MapTable(run.card.maps))
            found.append(Evidence(run.card.name, direction, text, tuple(limits(run, MAPS)), 1))
    return found


CLAIMS = (
    Claim("Higher accuracy on CIFAR-100", "tables 1 and 5", 8, _gains("cifar100")),
    Claim(
        "Higher accuracy on fine-grained data",
        "tables 2 and 5",
        10,
        _gains(
            *("cub200", "stanford_dogs", "flowers102-authors", "flowers102-trainval", "flowers102", "pets"),
            *("cub50", "flowers17"),
        ),
    ),
    Claim("Higher accuracy on ImageNet", "table 3", 3, _gains("imagenet", "imagenette")),
    Claim("Five rounds gain more than one", "text of table 3", 1, _ahead("rounds5", "")),
    Claim(
        "Other ways to make rounding trainable do worse than JPEG-DL",
        "table 6",
        24,
        _ahead("", "additive_noise", "cubic", "straight_through"),
    ),
    Claim(
        "The layer gains in place of the first ReLU too",
        "table 7",
        4,
        _gains_of(lambda run: run.difference == "first_relu"),
    ),
    Claim("More robust to FGSM and PGD", "figure 3", None, _robust),
    Claim("Smaller files at the same accuracy", "first submission, not in the last version", None, _files),
    Claim("GradCAM++ maps that lie on the object", "figure 6", None, _maps),
)
