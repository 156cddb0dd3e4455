"""What the cards of an arm and of a pair say of how they were trained."""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from importlib.metadata import version
from typing import Any

import torch
from torch import Tensor

from jpegdl.pairs.architectures import network_title
from jpegdl.pairs.card import ArmCard, Card, PairCard
from jpegdl.pairs.classifier import Arm
from jpegdl.pairs.comparison import Comparison
from jpegdl.pairs.facts import DatasetFacts, Epoch, Part, Pictures, Tables, TrainingFacts, tables_of
from jpegdl.pairs.measured import Proof
from jpegdl.pairs.recipe import Recipe
from jpegdl.training import processes
from jpegdl.training.catalogue import RECIPES
from jpegdl.training.data import Dataset
from jpegdl.training.provenance import code_version
from jpegdl.training.sources import short_side_of


def dataset_facts(recipe: Recipe, dataset: Dataset) -> DatasetFacts:
    parts = dataset.train, dataset.validation, dataset.test
    train, validation, test = (len(part) for part in parts)
    return DatasetFacts(
        name=recipe.dataset,
        title=dataset.title,
        source=dataset.source,
        licence=dataset.licence,
        split=dataset.split,
        pictures=Pictures(train=train, validation=validation, test=test),
    )


def arm_card(
    arm: Arm,
    recipe: Recipe,
    dataset: Dataset,
    seed: int,
    tables: Tensor | None,
    epochs: Sequence[Epoch],
    device: torch.device,
) -> ArmCard:
    """The card of an arm that has just been trained; `tables`: the steps that its layer started from."""
    return ArmCard(
        name=recipe.name,
        title=f"{dataset.title}, {network_title(recipe.architecture)}, {recipe.input_size} px",
        class_names=dataset.class_names,
        short_side=short_side_of(recipe.architecture, recipe.input_size),
        recipe=recipe,
        paper_recipe=RECIPES.get(recipe.name, recipe),
        seed=seed,
        dataset=dataset_facts(recipe, dataset),
        arm=arm,
        initial_tables=None if tables is None else _four_levels(tables),
        history=tuple(Epoch(**_rounded(asdict(epoch))) for epoch in epochs),
        training=TrainingFacts(
            device=_device_name(device),
            processes=processes.count(),
            threads=torch.get_num_threads(),
            seconds=round(sum(epoch.seconds for epoch in epochs)),
            versions={package: version(package) for package in ("torch", "torchvision", "timm")},
            commit=code_version(),
        ),
    )


def baseline_of(card: PairCard) -> ArmCard:
    """The card of a pair's baseline, to be taken for another pair. Flaws of a pair are of its tables: it has none."""
    return ArmCard(
        **_common(card) | {"flaws": ()},
        arm="baseline",
        initial_tables=None,
        history=card.history["baseline"],
        training=card.training["baseline"],
    )


def pair_card(baseline: ArmCard, jpegdl: ArmCard, results: Mapping[Part, Comparison], proof: Proof) -> PairCard:
    """The card of two trained arms that have been measured."""
    if jpegdl.initial_tables is None:
        raise ValueError("the second arm must be the one with the layer")
    return PairCard(
        **_common(jpegdl),
        initial_tables=jpegdl.initial_tables,
        history={"baseline": baseline.history, "jpegdl": jpegdl.history},
        training={"baseline": baseline.training, "jpegdl": jpegdl.training},
        results=results,
        proof=proof,
    )


def _common(card: Card) -> dict[str, Any]:
    return {field.name: getattr(card, field.name) for field in fields(Card)}


def _four_levels(steps: Tensor) -> Tables:
    return tables_of((steps if steps.ndim == 4 else steps[None]).tolist())


def _rounded(value: Any) -> Any:
    """Every float in tuples and dicts to six significant digits; the exact tables are in the weights."""
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(_rounded(item) for item in value)
    return float(f"{value:.6g}") if isinstance(value, float) else value


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {platform.machine()}"
