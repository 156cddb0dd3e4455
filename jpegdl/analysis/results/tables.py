"""All runs in one table beside the paper's figures, and the runs that take the layer apart."""

from collections.abc import Sequence

from jpegdl.analysis.results.limits import departures, limits
from jpegdl.analysis.results.markdown import NOTHING, effect_text, format_p, share, table
from jpegdl.analysis.results.paper import accuracy_text
from jpegdl.analysis.results.runs import (
    TrainedRun,
    accuracies,
    ahead_of,
    gain,
    groups,
    mean_and_deviation,
    meaning,
    points,
    unpaired,
)
from jpegdl.analysis.results.words import signed
from jpegdl.pairs.architectures import network_title
from jpegdl.pairs.classifier import ARMS, Arm

DEPARTED = "†"


def runs_section(runs: Sequence[TrainedRun]) -> str:
    """Markdown: a row for each run, ours and the paper's figures in separate columns."""
    header = ["run", "data", "network", "px", "epochs", "n", "seeds", "baseline", "JPEG-DL", "difference", "p"]
    header += ["paper: baseline", "paper: JPEG-DL", "paper: gain", "what keeps it from a full test"]
    return (
        "## All runs\n\n"
        "Test accuracies; with several seeds mean ± standard deviation over them, and p for each. Difference is "
        "JPEG-DL minus baseline in points. The paper's figures are for its own recipe: "
        f"{DEPARTED} marks runs that departed from the recipe of their name, which must not be compared with them.\n\n"
        f"{table(header, [_run_row(run) for run in runs])}{_notes(runs)}"
    )


def controls_section(runs: Sequence[TrainedRun]) -> str:
    """Markdown: for each base recipe the runs with other layers, where data, schedule, size and seed agree."""
    parts = [_control_table(group) for group in groups(runs) if any(run.difference for run in group)]
    if not any(parts):
        return ""
    return (
        "## Controls: which part of the layer does it?\n\n"
        "Runs that agree in data, split, network, schedule, input size and seed, and differ in the layer. The last two "
        "columns compare the row's JPEG-DL network with that of the whole method (Fisher's exact test; which pictures "
        "both get right is not in the cards). These are counts of trained networks, not causes.\n\n" + "".join(parts)
    )


def _run_row(run: TrainedRun) -> list[str]:
    card, effect, figure = run.card, gain(run), run.figure
    mark = f" {DEPARTED}" if departures(card) else ""
    cells = [card.name + mark, card.dataset.title, network_title(card.architecture), str(card.input_size)]
    cells += [str(card.recipe.epochs), str(_pictures(run)), ", ".join(map(str, run.seeds))]
    cells += [_accuracy(run, arm) for arm in ARMS]
    if len(run.seeds) == 1:
        cells.append(signed(effect.points[0]))
    else:
        mean, deviation = mean_and_deviation(effect.points)
        cells.append(f"{signed(mean)} ± {deviation:.1f}")
    cells.append(", ".join(map(format_p, effect.p_values)))
    if figure is None:
        cells += [NOTHING] * 3
    else:
        cells += [
            accuracy_text(figure.baseline, figure.baseline_std) + mark,
            accuracy_text(figure.jpegdl, figure.jpegdl_std) + mark,
            f"{figure.gain:+.2f}".replace("-", "−") + mark,
        ]
    return [*cells, "; ".join(limits(run)) or "nothing"]


def _accuracy(run: TrainedRun, arm: Arm) -> str:
    values = accuracies(run, arm)
    if len(values) == 1:
        return share(next(iter(run.test.values())), arm)
    mean, deviation = mean_and_deviation(values)
    return f"{mean:.1f} ± {deviation:.1f} %"


def _notes(runs: Sequence[TrainedRun]) -> str:
    """What is to be known about the paper's own figures."""
    figures = {run.recipe_name: run.figure for run in runs if run.figure is not None}
    notes = "".join(f"- {name}, {figure.table}: {figure.note}.\n" for name, figure in figures.items() if figure.note)
    return f"On the paper's figures:\n\n{notes}\n" if notes else ""


def _control_table(group: Sequence[TrainedRun]) -> str:
    """One group's table and sentences, or nothing if no seed was trained twice."""
    seeds = sorted({seed for run in group for seed in run.seeds if sum(seed in r.seeds for r in group) > 1})
    base = next((run for run in group if not run.difference), None)
    rows = [_control_row(run, seed, base) for seed in seeds for run in group if seed in run.seeds]
    if not rows:
        return ""
    card = group[0].card
    header = ["run", "layer", "seed", "n", "baseline", "JPEG-DL", "difference", "p", "against the whole method", "p"]
    return (
        f"### {card.dataset.title}, {network_title(card.architecture)}, {card.input_size} px, "
        f"{card.recipe.epochs} epochs\n\n{table(header, rows)}" + _implications(group, seeds, base)
    )


def _control_row(run: TrainedRun, seed: int, base: TrainedRun | None) -> list[str]:
    counts = run.test[seed]
    row = [run.card.name, meaning(run), str(seed), str(counts.n), *(share(counts, arm) for arm in ARMS)]
    row += [signed(points(counts)), format_p(counts.p_value)]
    if base is None or run is base or seed not in base.seeds:
        return [*row, NOTHING, NOTHING]
    ahead, p = unpaired(counts, base.test[seed])
    return [*row, signed(ahead), format_p(p)]


def _implications(group: Sequence[TrainedRun], seeds: Sequence[int], base: TrainedRun | None) -> str:
    """What the counts say, one sentence a run; and whether the rows had the same baseline."""
    lines = [_baselines(group, seed) for seed in seeds]
    if base is None:
        return "".join(lines) + "- The whole method was not run under these conditions.\n\n"
    for run in group:
        effect = ahead_of(run, base)
        if run is base or not effect.points:
            continue
        relation = {
            1: "its network names clearly more pictures than the method's",
            -1: "its network names clearly fewer pictures than the method's",
            0: "its network and the method's cannot be told apart",
        }[effect.direction]
        own, whole = _mean_gain(run, base), _mean_gain(base, run)
        line = f"- `{run.card.name}` ({meaning(run)}): {own} points over its baseline, where the whole method has "
        line += f"{whole}; {relation} ({effect_text(effect)})."
        if run.difference == "noop":
            line += " It does not change the pictures, so this is how far two trainings differ by chance."
        lines.append(line + "\n")
    return "".join(lines) + "\n"


def _baselines(group: Sequence[TrainedRun], seed: int) -> str:
    counts = [run.test[seed] for run in group if seed in run.seeds]
    right = sorted({c.correct("baseline") for c in counts})
    if len(right) == 1:
        return f"- Seed {seed}: the baselines of all rows name {right[0]} of {counts[0].n} pictures.\n"
    return (
        f"- Seed {seed}: the rows' baselines, trained apart with equal settings{_precision(group, seed)}, name between "
        f"{right[0]} and {right[-1]} of {counts[0].n} pictures.\n"
    )


def _precision(group: Sequence[TrainedRun], seed: int) -> str:
    """That the settings were not equal in all: as far as cards tell, in which precision they trained."""
    ran = {
        tuple(sorted({epoch.precision for epoch in run.card.history["baseline"]}))
        if run.card.seed == seed
        else next(other.precisions for other in run.card.other_seeds if other.seed == seed)
        for run in group
        if seed in run.seeds
    }
    names = ", ".join(" and ".join(one) for one in sorted(ran))
    return f" but in different precision ({names})" if len(ran) > 1 else ""


def _mean_gain(run: TrainedRun, other: TrainedRun) -> str:
    """Mean gain of `run` over its seeds that `other` has too."""
    gains = [points(counts) for seed, counts in run.test.items() if seed in other.seeds]
    return signed(sum(gains) / len(gains))


def _pictures(run: TrainedRun) -> int:
    return next(iter(run.test.values())).n
