"""docs/results.md from the cards: every figure is recomputed from counts."""

from collections.abc import Iterable, Sequence

from jpegdl.analysis.results.claims import claims_section
from jpegdl.analysis.results.grid import grid_section, read_grid
from jpegdl.analysis.results.markdown import effect_text, format_p, share, signed, table
from jpegdl.analysis.results.robustness import read_rows, robustness_section
from jpegdl.analysis.results.runs import (
    TrainedRun,
    departures,
    gain,
    gather,
    groups,
    mean_and_deviation,
    meaning,
    points,
)
from jpegdl.analysis.results.tables import controls_section, runs_section
from jpegdl.pairs.card import PairCard
from jpegdl.pairs.classifier import ARMS
from jpegdl.pairs.comparison import Comparison

__all__ = ["format_p", "results_markdown", "robustness_markdown", "verdict"]

_ARM_NAMES = {"baseline": "baseline", "jpegdl": "JPEG-DL"}
_FARTHEST = 128  # that the mean of a block can be from mid-grey, grey levels


def results_markdown(pairs: Iterable[PairCard], records: Iterable[PairCard] = ()) -> str:
    """The whole page: the paper's claims, all runs, controls, then a section for each run.

    `pairs`: cards of pairs whose weights are stored; `records`: cards of runs whose weights are not. Cards of the same
    name, recipe and split are one run with several seeds. Raises ValueError for cards without counts, with two counts
    of one seed, or with a grid or attacks of another form.
    """
    runs = gather(pairs, records)
    intro = (
        "# Results\n\n"
        "Generated from the cards in `checkpoints/` and `docs/results/` by `python -m jpegdl results`; do not edit. "
        "Accuracies are of the float16 weights after the last epoch; intervals are Wilson's 95 %; p is McNemar's "
        "exact test, two-sided, on the pictures that only one network names correctly.\n\n"
    )
    sections = [claims_section(runs), runs_section(runs), controls_section(runs)]
    controlled = {id(run) for group in groups(runs) if any(run.difference for run in group) for run in group}
    sections += [_section(run, controlled=id(run) in controlled) for run in runs]
    return (intro + "".join(sections)).rstrip("\n") + "\n"


def verdict(card: PairCard, subset: str = "test") -> str:
    """One plain sentence on which arm is ahead on `subset` and whether the difference can be told from chance.

    With several seeds the sentence is about the first, whose weights are stored, and a second one gives them all.
    """
    counts = card.results[subset]
    difference = counts.correct("jpegdl") - counts.correct("baseline")
    if difference == 0:
        return (
            f"Both networks name {counts.correct('baseline')} of {counts.n} pictures correctly.{_seeds(card, subset)}"
        )
    ahead, behind = ("JPEG-DL", "the baseline") if difference > 0 else ("The baseline", "JPEG-DL")
    certainty = "more than chance would explain" if counts.p_value < 0.05 else "which chance alone could explain"
    seed = f"seed {card.seed}" if card.other_seeds else "one seed"
    return (
        f"{ahead} names {abs(difference)} of {counts.n} pictures more than {behind} "
        f"({100 * abs(difference) / counts.n:.1f} points), {certainty} (p = {format_p(counts.p_value)}, {seed})."
        f"{_seeds(card, subset)}"
    )


def robustness_markdown(card: PairCard) -> str:
    """The attacks of a card with their checks, as on the page; without the required attacks it holds no number."""
    return robustness_section(read_rows(card.robustness)) if card.robustness else "No attacks were run.\n"


def _seeds(card: PairCard, subset: str) -> str:
    """The mean difference over all seeds of the card, or nothing for one seed."""
    if not card.other_seeds:
        return ""
    found = [card.results[subset]]
    for other in card.other_seeds:
        counts = other["results"][subset]
        found.append(counts if isinstance(counts, Comparison) else Comparison(**counts))
    mean, deviation = mean_and_deviation([points(counts) for counts in found])
    return f" Over {len(found)} seeds JPEG-DL differs by {signed(mean)} ± {deviation:.1f} points."


def _section(run: TrainedRun, *, controlled: bool) -> str:
    card = run.card
    variation = f" The layer of its JPEG-DL arm: {meaning(run)}." if run.difference else ""
    stored = "" if run.shipped else " Its weights are not stored; the counts are from its training."
    text = f"## {card.name}\n\n{card.title}, seed {card.seed}. {verdict(card)}{variation}{stored}\n\n{_counts(run)}"
    if len(run.seeds) > 1:
        text += f"All seeds on the test set, JPEG-DL minus baseline: {effect_text(gain(run))}.\n\n"
    text += _limits(card, controlled=controlled) + _training(card)
    if card.grid:
        text += grid_section(read_grid(card.grid))
    if card.robustness:
        text += robustness_markdown(card)
    return text


def _counts(run: TrainedRun) -> str:
    header = ["seed", "set", "n", "both right", "only baseline", "only JPEG-DL", "neither", "baseline", "JPEG-DL", "p"]
    return table(header, [_counts_row(seed, name, c) for seed, sets in run.seeds.items() for name, c in sets.items()])


def _counts_row(seed: int, name: str, counts: Comparison) -> Sequence[str]:
    numbers = (counts.n, counts.both, counts.only_baseline, counts.only_jpegdl, counts.neither)
    accuracies = [share(counts, arm) for arm in ARMS]
    return [str(seed), name, *map(str, numbers), *accuracies, format_p(counts.p_value)]


def _limits(card: PairCard, *, controlled: bool) -> str:
    """What the last tables leave of a block's mean, which is an eighth of its first coefficient."""
    history = card.history.get("jpegdl")
    steps = history[-1]["steps"] if history else None
    if steps is None or card.max_index is None or card.place != "input" or card.quantizer == "identity":
        return ""
    first = {"brightness": steps[0][0][0][0], "colour": steps[0][1][0][0]}  # of the first round
    means = {name: card.max_index * step / 8 for name, step in first.items()}
    limited = [f"mean {name} to ± {mean:.1f}" for name, mean in means.items() if mean < _FARTHEST]
    facts = f"(index limit {card.max_index}, steps {first['brightness']:.2g} and {first['colour']:.2g})"
    if not limited:
        return f"The last tables leave the mean of every block as it is {facts}.\n\n"
    does = "the last tables limit" if card.quantizer == "clip" else "beside quantizing, the last tables limit"
    part = "see the controls above" if controlled else "not tested here"
    return (
        f"{does.capitalize()} a block's {' and its '.join(limited)} grey levels around mid-grey {facts} and cut off "
        f"what lies beyond; what part of the difference comes from that: {part}.\n\n"
    )


def _training(card: PairCard) -> str:
    recipe, training = card.recipe, card.training
    minutes = ", ".join(f"{_ARM_NAMES[arm]} {training['seconds'][arm] / 60:.0f} min" for arm in ARMS)
    return (
        f"Data: {card.dataset['split']}. Training: {recipe['epochs']} epochs of {card.dataset['pictures']['train']} "
        f"pictures, batch {recipe['batch_size']}, {training['device']}, {training['threads']} threads ({minutes}). "
        f"Departures from the recipe: {'; '.join(departures(card)) or 'none'}.\n\n"
    )
