"""How a run was trained beside its recipe and the paper: departures, precision, and what keeps it from a full test."""

import re
from collections.abc import Container, Sequence
from itertools import groupby
from typing import Any

from jpegdl.analysis.results.paper import DATA, FIRST_TABLES, PAPER, Figure
from jpegdl.analysis.results.runs import TrainedRun
from jpegdl.pairs.card import PairCard
from jpegdl.pairs.classifier import ARMS
from jpegdl.pairs.facts import RESIZED_COPY, Epoch

_NETWORKS = {part for name in PAPER for part in name.split("-")}
FLAW, REPEATED = "a known flaw (see its section)", "trained again without it as "
BITS = 8  # of the indices of every recipe that has variations of its first tables


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


def code_text(card: PairCard) -> str:
    """Which code trained the networks: the start of its commit, or one for each; empty where the card has none."""
    baseline, jpegdl = (re.sub(r"^([0-9a-f]{12})[0-9a-f]+", r"\1", card.training[arm].commit) for arm in ARMS)
    return (
        baseline if baseline == jpegdl else f"{baseline or 'not known'} (baseline), {jpegdl or 'not known'} (JPEG-DL)"
    )


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
    reasons += [
        f"seed {other.seed} trained in more than one precision"
        for other in run.card.other_seeds
        if len(other.precisions) > 1
    ]
    if run.card.dataset.copied:
        reasons.append(f"{RESIZED_COPY} of the data")
    if run.card.flaws:
        reasons += [FLAW, REPEATED + run.repeated] if run.repeated else [FLAW]
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
        if run.card.recipe.bits != BITS:
            reasons.append(f"indices of {run.card.recipe.bits} bits instead of {BITS}")
    return reasons


def _plain(value: Any) -> str:
    if value is None:
        return "nothing"
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
