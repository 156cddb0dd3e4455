"""What a pair's card says of how it was trained."""

import platform
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import torch
from torch import Tensor

from jpegdl.codec.variants import IN_TESTS
from jpegdl.pairs.card import PairCard
from jpegdl.pairs.classifier import Arm
from jpegdl.training import processes
from jpegdl.training.catalogue import RECIPES
from jpegdl.training.data import Dataset
from jpegdl.training.history import Epoch
from jpegdl.training.recipes import Recipe
from jpegdl.training.sources import short_side_of


def card_of(
    recipe: Recipe,
    dataset: Dataset,
    seed: int,
    tables: Tensor,
    history: Mapping[Arm, list[Epoch]],
    device: torch.device,
    precision: torch.dtype,
    commit: str,
) -> PairCard:
    """The card of a trained pair, before anything is counted; `tables`: those it started from, (rounds, 2, 8, 8)."""
    network = recipe.architecture.split(":")[-1].removeprefix("tf_")
    return PairCard(
        name=recipe.name,
        title=f"{dataset.title}, {network}, {recipe.input_size} px",
        architecture=recipe.architecture,
        class_names=dataset.class_names,
        input_size=recipe.input_size,
        short_side=short_side_of(recipe.architecture, recipe.input_size),
        place=recipe.place,
        quantizer=IN_TESTS.get(recipe.quantizer, recipe.quantizer),
        max_index=recipe.max_index,
        rounds=recipe.rounds,
        recipe=asdict(recipe),
        paper_recipe=departures(recipe),
        seed=seed,
        dataset={
            "name": recipe.dataset,
            "title": dataset.title,
            "source": dataset.source,
            "licence": dataset.licence,
            "split": dataset.split,
            "pictures": {"train": len(dataset.train), "validation": len(dataset.validation), "test": len(dataset.test)},
        },
        initial_tables=tables.tolist(),
        history={arm: [_rounded(asdict(epoch)) for epoch in epochs] for arm, epochs in history.items()},
        results={},
        other_seeds=[],
        grid={},
        robustness=[],
        weights={},
        training={
            "device": _device_name(device),
            "processes": processes.count(),
            "precision": str(precision).removeprefix("torch."),
            "threads": torch.get_num_threads(),
            "seconds": {arm: round(sum(e.seconds for e in epochs)) for arm, epochs in history.items()},
            "versions": {package: version(package) for package in ("torch", "torchvision", "timm")},
            "commit": commit,
        },
    )


def summary(card: PairCard) -> dict[str, Any]:
    """What a card keeps of a run whose weights are not stored."""
    last = card.history["jpegdl"][-1]["steps"]
    seconds = card.training["seconds"]
    return {"seed": card.seed, "results": dict(card.results), "steps": last, "seconds": seconds}


def departures(recipe: Recipe) -> dict[str, Any]:
    """Fields in which `recipe` differs from the named one in RECIPES: field -> the named recipe's value."""
    named = asdict(RECIPES[recipe.name]) if recipe.name in RECIPES else asdict(recipe)
    return {field: value for field, value in named.items() if value != getattr(recipe, field)}


def _rounded(value: Any) -> Any:
    """Every float in a structure of lists and dicts to six significant digits; the exact tables are in the weights."""
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {platform.machine()}"
