"""docs/results.md from the cards: every figure is recomputed from counts."""

from collections.abc import Iterable

from jpegdl.pairs.card import PairCard
from jpegdl.pairs.classifier import ARMS

_ARM_NAMES = {"baseline": "baseline", "jpegdl": "JPEG-DL"}


def results_markdown(cards: Iterable[PairCard]) -> str:
    """The whole page: one section a pair."""
    intro = (
        "# Results\n\n"
        "Generated from the cards in `checkpoints/` by `python -m jpegdl results`; do not edit. Accuracies are of the "
        "stored float16 weights after the last epoch; intervals are Wilson's 95 %; p is McNemar's exact test, "
        "two-sided, on the pictures that only one network names correctly.\n"
    )
    return intro + "".join(map(_section, cards))


def verdict(card: PairCard, subset: str = "test") -> str:
    """One plain sentence on which arm is ahead on `subset` and whether the difference can be told from chance."""
    counts = card.results[subset]
    difference = counts.correct("jpegdl") - counts.correct("baseline")
    if difference == 0:
        return f"Both networks name {counts.correct('baseline')} of {counts.n} pictures correctly."
    ahead, behind = ("JPEG-DL", "the baseline") if difference > 0 else ("The baseline", "JPEG-DL")
    certainty = "more than chance would explain" if counts.p_value < 0.05 else "which chance alone could explain"
    return (
        f"{ahead} names {abs(difference)} of {counts.n} pictures more than {behind} "
        f"({100 * abs(difference) / counts.n:.1f} points), {certainty} (p = {format_p(counts.p_value)}, one seed)."
    )


def format_p(p: float) -> str:
    return f"{p:.3f}" if p >= 0.001 else f"{p:.1e}"


def _section(card: PairCard) -> str:
    lines = [f"\n## {card.name}\n", f"{card.title}, seed {card.seed}. {verdict(card)}\n"]
    lines.append("| set | n | both right | only baseline | only JPEG-DL | neither | baseline | JPEG-DL | p |")
    lines.append("|---|---|---|---|---|---|---|---|---|")
    for name, counts in card.results.items():
        accuracies = " | ".join(_accuracy(counts.accuracy(arm), counts.interval(arm)) for arm in ARMS)
        lines.append(
            f"| {name} | {counts.n} | {counts.both} | {counts.only_baseline} | {counts.only_jpegdl} | "
            f"{counts.neither} | {accuracies} | {format_p(counts.p_value)} |"
        )
    lines.append("")
    lines.append(_limits(card))
    lines.append(_training(card))
    return "\n".join(lines)


def _accuracy(share: float, interval: tuple[float, float]) -> str:
    return f"{100 * share:.1f} % [{100 * interval[0]:.1f}, {100 * interval[1]:.1f}]"


def _limits(card: PairCard) -> str:
    """What the last tables leave of a block's mean, which is an eighth of its first coefficient."""
    steps = card.history["jpegdl"][-1]["steps"][0] if card.history.get("jpegdl") else None
    if steps is None or card.max_index is None:
        return ""
    luma, chroma = (card.max_index * table[0][0] / 8 for table in steps)
    return (
        f"The learned tables limit the mean brightness of a block to ± {luma:.1f} grey levels around mid-grey and its "
        f"mean colour to ± {chroma:.1f} (index limit {card.max_index}, steps {steps[0][0][0]:.2g} and "
        f"{steps[1][0][0]:.2g}): beside quantizing, this layer takes brightness and coarse contrast away, and what "
        "part of the difference comes from that is not tested here.\n"
    )


def _training(card: PairCard) -> str:
    recipe, training = card.recipe, card.training
    minutes = ", ".join(f"{_ARM_NAMES[arm]} {training['seconds'][arm] / 60:.0f} min" for arm in ARMS)
    departures = "; ".join(f"{field} {recipe[field]} instead of {paper}" for field, paper in card.paper_recipe.items())
    return (
        f"Data: {card.dataset['split']}. Training: {recipe['epochs']} epochs of {card.dataset['pictures']['train']} "
        f"pictures, batch {recipe['batch_size']}, {training['device']}, {training['threads']} threads ({minutes}). "
        f"Departures from the paper's recipe: {departures or 'none'}.\n"
    )
