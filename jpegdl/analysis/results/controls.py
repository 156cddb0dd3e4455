"""Which runs are controls of which, and what they say about the run in a sentence each."""

from collections.abc import Sequence
from statistics import mean

from jpegdl.analysis.results.runs import LEVEL, TrainedRun, groups, meaning, points, unpaired
from jpegdl.analysis.results.words import chance_text, part_text, signed
from jpegdl.pairs.card import PairCard

_FARTHEST = 128  # that the mean of a block can be from mid-grey, grey levels


def controls_of(run: TrainedRun, runs: Sequence[TrainedRun]) -> list[tuple[TrainedRun, int]]:
    """Runs with another layer that belong to `run`, each with a seed that both have; none for a run that is a control.

    They belong if data, split, network, schedule, input size, seed and the trained baseline are the same.
    """
    if not run.whole_method:
        return []
    group = next((group for group in groups(runs) if any(other is run for other in group)), [])
    others = [other for other in group if not other.whole_method]
    return [(other, seed) for other in others for seed in other.test if same_baseline(run, other, seed)]


def same_baseline(first: TrainedRun, second: TrainedRun, seed: int) -> bool:
    """Is the baseline of `seed` one and the same network, as far as the cards tell?

    It names as many pictures of every set, and each of its epochs went the same way, where both cards hold its epochs.
    """
    if seed not in first.seeds or seed not in second.seeds:
        return False
    right = [{name: c.correct("baseline") for name, c in run.seeds[seed].items()} for run in (first, second)]
    epochs = [_epochs(run.card) if run.card.seed == seed else [] for run in (first, second)]
    return right[0] == right[1] and (not all(epochs) or epochs[0] == epochs[1])


def control_text(control: TrainedRun, whole: TrainedRun, seed: int) -> str:
    """'The index limit alone: +4.1 of +6.5 points; no clear difference from the whole method's network (…).'"""
    own, method = control.test[seed], whole.test[seed]
    ahead, p = unpaired(own, method)
    against = "no clear difference from"
    if p < LEVEL:
        against = f"clearly {'more' if ahead > 0 else 'fewer'} pictures named right than by"
    part = part_text(meaning(control), points(own), points(method))
    return f"{part}; {against} the whole method's network (chance would do this {chance_text(p)})."


def controls_in_short(run: TrainedRun, runs: Sequence[TrainedRun]) -> str:
    """'the index limit alone +4.1, …': points of each control over the same baseline, the mean of several seeds."""
    found: dict[str, list[float]] = {}
    for control, seed in controls_of(run, runs):
        found.setdefault(meaning(control), []).append(points(control.test[seed]))
    return ", ".join(f"{layer} {signed(mean(values))}" for layer, values in found.items())


def limit_text(card: PairCard) -> str:
    """What the last tables leave of a block's mean, an eighth of its first coefficient; empty without limit."""
    steps = card.history["jpegdl"][-1].steps
    if steps is None or card.max_index is None or card.place != "input" or card.quantizer == "identity":
        return ""
    first = {"brightness": steps[0][0][0][0], "colour": steps[0][1][0][0]}  # of the first round
    means = {name: card.max_index * step / 8 for name, step in first.items()}
    limited = [f"mean {name} to ± {mean:.1f}" for name, mean in means.items() if mean < _FARTHEST]
    facts = f"(index limit {card.max_index}, steps {first['brightness']:.2g} and {first['colour']:.2g})"
    if not limited:
        return f"The last tables leave the mean of every block as it is {facts}."
    does = "The last tables limit" if card.quantizer == "clip" else "Beside quantizing, the last tables limit"
    means_text = " and its ".join(limited)
    return f"{does} a block's {means_text} grey levels around mid-grey {facts} and cut off what lies beyond."


def _epochs(card: PairCard) -> list[tuple[object, ...]]:
    """How each epoch of the baseline went, without the time it took."""
    shown = ("number", "loss", "train_accuracy", "validation_accuracy")
    return [tuple(getattr(epoch, name) for name in shown) for epoch in card.history["baseline"]]
