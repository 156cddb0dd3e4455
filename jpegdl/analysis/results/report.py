"""docs/results.md from the cards: every figure is recomputed from counts."""

from collections.abc import Iterable, Sequence

from jpegdl.analysis.results.claims import claims_section
from jpegdl.analysis.results.controls import control_text, controls_of, limit_text
from jpegdl.analysis.results.grid import grid_section
from jpegdl.analysis.results.limits import code_text, departures, precision_text
from jpegdl.analysis.results.maps import maps_section
from jpegdl.analysis.results.markdown import effect_text, format_p, share, table
from jpegdl.analysis.results.robustness import robustness_section
from jpegdl.analysis.results.runs import TrainedRun, gain, gather, mean_and_deviation, meaning, points
from jpegdl.analysis.results.tables import controls_section, runs_section
from jpegdl.analysis.results.words import chance_text, signed
from jpegdl.pairs.card import PairCard
from jpegdl.pairs.classifier import ARMS
from jpegdl.pairs.comparison import Comparison
from jpegdl.pairs.facts import Part
from jpegdl.pairs.imagenet import seen_before

__all__ = ["format_p", "results_markdown", "robustness_markdown", "verdict"]

_ARM_NAMES = {"baseline": "baseline", "jpegdl": "JPEG-DL"}


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
    sections += [_section(run, runs) for run in runs]
    return (intro + "".join(sections)).rstrip("\n") + "\n"


def verdict(card: PairCard, subset: Part = "test") -> str:
    """One plain sentence on which arm is ahead on `subset` and whether the difference can be told from chance.

    With several seeds the sentence is about the first, whose weights are stored, and a second one gives them all.
    """
    counts = card.results[subset]
    difference = counts.correct("jpegdl") - counts.correct("baseline")
    if difference == 0:
        return (
            f"Both networks name {counts.correct('baseline'):,} of {counts.n:,} pictures right.{_seeds(card, subset)}"
        )
    ahead, behind = ("JPEG-DL", "the baseline") if difference > 0 else ("the baseline", "JPEG-DL")
    seed = f"seed {card.seed}" if card.other_seeds else "one seed"
    return (
        f"Of {counts.n:,} pictures {ahead} names {abs(difference):,} more right than {behind} "
        f"({100 * abs(difference) / counts.n:.1f} points, {seed}); chance would do this {chance_text(counts.p_value)}."
        f"{_seeds(card, subset)}"
    )


def robustness_markdown(card: PairCard) -> str:
    """The attacks of a card with their checks, as on the page; without the required attacks it holds no number."""
    return robustness_section(card.robustness) if card.robustness else "No attacks were run.\n"


def _seeds(card: PairCard, subset: Part) -> str:
    """The mean difference over all seeds of the card, or nothing for one seed."""
    if not card.other_seeds:
        return ""
    found = [card.results[subset]]
    for other in card.other_seeds:
        found.append(other.results[subset])
    mean, deviation = mean_and_deviation([points(counts) for counts in found])
    return f" Over {len(found)} seeds JPEG-DL differs by {signed(mean)} ± {deviation:.1f} points."


def _section(run: TrainedRun, runs: Sequence[TrainedRun]) -> str:
    card = run.card
    variation = f" The layer of its JPEG-DL arm: {meaning(run)}." if run.difference else ""
    stored = "" if run.shipped else " Its weights are not stored; the counts are from its training."
    text = f"## {card.name}\n\n{card.title}, seed {card.seed}. {verdict(card)}{variation}{stored}\n\n{_counts(run)}"
    if len(run.seeds) > 1:
        text += f"All seeds on the test set, JPEG-DL minus baseline: {effect_text(gain(run))}.\n\n"
    text += _limit(run, runs) + _training(card)
    if card.grid:
        text += grid_section(card.grid)
    if card.robustness:
        text += robustness_markdown(card)
    if card.maps:
        text += maps_section(card.maps)
    return text


def _counts(run: TrainedRun) -> str:
    header = ["seed", "set", "n", "both right", "only baseline", "only JPEG-DL", "neither", "baseline", "JPEG-DL", "p"]
    return table(header, [_counts_row(seed, name, c) for seed, sets in run.seeds.items() for name, c in sets.items()])


def _counts_row(seed: int, name: str, counts: Comparison) -> Sequence[str]:
    numbers = (counts.n, counts.both, counts.only_baseline, counts.only_jpegdl, counts.neither)
    accuracies = [share(counts, arm) for arm in ARMS]
    return [str(seed), name, *map(str, numbers), *accuracies, format_p(counts.p_value)]


def _limit(run: TrainedRun, runs: Sequence[TrainedRun]) -> str:
    """What the index limit leaves, and what part of the run's difference its controls make."""
    limit = limit_text(run.card)
    found = [f"- {control_text(control, run, seed)}\n" for control, seed in controls_of(run, runs)]
    if found:
        paragraph = f"{limit}\n\n" if limit else ""
        return f"{paragraph}What part of the difference comes from what:\n\n{''.join(found)}\n"
    untested = " What part of the difference comes from that: not tested here." if run.whole_method else ""
    return f"{limit}{untested}\n\n" if limit else ""


def _training(card: PairCard) -> str:
    recipe, arms = card.recipe, card.training
    where = {f"{arms[arm].device}, {arms[arm].threads} threads" for arm in ARMS}
    each = {arm: "" if len(where) == 1 else f" on {arms[arm].device}, {arms[arm].threads} threads" for arm in ARMS}
    seen, code = seen_before(card), code_text(card)
    minutes = ", ".join(f"{_ARM_NAMES[arm]} {arms[arm].seconds / 60:.0f} min{each[arm]}" for arm in ARMS)
    return (
        f"Data: {card.dataset.split}. Training: {recipe.epochs} epochs of {card.dataset.pictures.train} "
        f"pictures, batch {recipe.batch_size}, in {precision_text(card)}"
        f"{''.join(f', {one}' for one in where if len(where) == 1)} ({minutes}){f'; code {code}' if code else ''}. "
        f"Departures from the recipe: {'; '.join(departures(card)) or 'none'}."
        + (f" The networks start from ImageNet's weights; {seen}." if seen else "")
        + "\n\n"
        + "".join(f"**{flaw}**\n\n" for flaw in card.flaws)
    )
