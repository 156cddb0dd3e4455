"""Several seeds of one run in one card: what makes runs the same but for the seed, and how their cards become one."""

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Protocol

from jpegdl.pairs.card import PairCard
from jpegdl.pairs.facts import DatasetFacts, OtherSeed
from jpegdl.pairs.recipe import Recipe


class Trained(Protocol):
    """What all seeds of a run have in common: a card says it, and so does a run that has no card yet."""

    @property
    def recipe(self) -> Recipe: ...
    @property
    def dataset(self) -> DatasetFacts: ...
    @property
    def class_names(self) -> Sequence[str]: ...
    @property
    def flaws(self) -> Sequence[str]: ...


def differing(first: Trained, second: Trained) -> list[str]:
    """Names of what two runs do not share, for people; empty if nothing but the seed may differ."""
    odd = other_recipe(first.recipe, second.recipe)
    return [*odd, *other_data(first, second), *["known flaw"] * (first.flaws != second.flaws)]


def other_recipe(*recipes: Recipe) -> list[str]:
    """The same of the recipes alone, whatever they were trained on."""
    return [field.name for field in fields(Recipe) if len({getattr(recipe, field.name) for recipe in recipes}) > 1]


def other_data(first: Trained, second: Trained) -> list[str]:
    """The same of the data alone, whatever the recipes say."""
    sets = first.dataset, second.dataset
    odd = [name for name in ("name", "split", "pictures") if len({getattr(one, name) for one in sets}) > 1]
    odd += ["resolution"] * (sets[0].copied != sets[1].copied)
    same_classes = list(first.class_names) == list(second.class_names)
    return [*(f"{name} of the data set" for name in odd), *["list of classes"] * (not same_classes)]


def summary(card: PairCard) -> OtherSeed:
    """What a card keeps of a run whose weights are not stored."""
    return OtherSeed(
        seed=card.seed,
        results=card.results,
        steps=card.history["jpegdl"][-1].steps,
        seconds={arm: facts.seconds for arm, facts in card.training.items()},
        precisions=tuple(sorted({epoch.precision for epochs in card.history.values() for epoch in epochs})),
    )


def with_seeds(card: PairCard, others: Sequence[OtherSeed]) -> PairCard:
    """The card with these seeds beside its own, instead of what it says of the same ones. Its own stays its own."""
    found = {other.seed: other for other in (*card.other_seeds, *others)}
    return replace(card, other_seeds=tuple(other for seed, other in found.items() if seed != card.seed))


def seeds_text(seeds: Sequence[int]) -> str:
    """Such as "seeds 0, 1 and 2"."""
    *others, last = map(str, seeds)
    return f"seeds {', '.join(others)} and {last}" if others else f"seed {last}"


def joined(present: PairCard, run: PairCard) -> PairCard:
    """One card of all seeds of two that differ in seeds alone; what both say of one seed is the run's.

    The run's card stands in front if it is of the same first seed, or has all the seeds of the present one; else the
    present one does.
    """
    if present.seed == run.seed or set(present.seeds) <= set(run.seeds):
        kept = [other for other in (summary(present), *present.other_seeds) if other.seed not in run.seeds]
        return with_seeds(run, kept)
    return with_seeds(present, [summary(run), *run.other_seeds])
