"""Both arms of a pair from one recipe: baseline, initial tables from its sensitivity, JPEG-DL, counts, card."""

import platform
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from jpegdl.analysis.evaluate import compare, logits
from jpegdl.codec.layer import JPEGLayer
from jpegdl.pairs.card import PairCard
from jpegdl.pairs.checkpoints import ModelPair, load_pair, save_pair
from jpegdl.pairs.classifier import ARMS, Arm, Classifier, build_classifier
from jpegdl.training.data import Dataset, PreparedTensors, TrainingTensors, prepared_tensors, training_tensors
from jpegdl.training.loop import Epoch, fit
from jpegdl.training.recipes import RECIPES, Recipe
from jpegdl.training.sensitivity import inverse_sensitivity_tables, sensitivity

Report = Callable[[Arm, Epoch], None]


@dataclass(frozen=True)
class _Data:
    train: TrainingTensors
    clean: PreparedTensors  # the same pictures, prepared as in a test, for the sensitivities
    validation: PreparedTensors


def train_pair(
    recipe: Recipe, dataset: Dataset, out: Path, *, seed: int, device: torch.device, report: Report, commit: str = ""
) -> ModelPair:
    """Train, save and re-read a pair; the counts in its card are measured with the stored weights.

    State of an unfinished run lies in a hidden folder beside `out` and is continued if it exists; it is removed when
    the pair is complete. `report` is called after every epoch.
    """
    work = out.with_name(f".{out.name}.training")
    work.mkdir(parents=True, exist_ok=True)
    size = recipe.input_size
    data = _Data(
        train=training_tensors(dataset.train),
        clean=prepared_tensors(dataset.train, size),
        validation=prepared_tensors(dataset.validation, size),
    )
    classes = len(dataset.class_names)
    history: dict[Arm, list[Epoch]] = {}

    def run(arm: Arm, model: Classifier) -> Classifier:
        history[arm] = []
        state = work / f"{arm}.pt"
        for epoch in fit(model, recipe, data.train, data.validation, seed=seed, device=device, state_file=state):
            history[arm].append(epoch)
            report(arm, epoch)
        return model

    baseline = run("baseline", build_classifier(recipe.architecture, classes, seed=seed))
    tables = initial_tables(recipe, baseline, data.clean)
    codec = JPEGLayer(tables, recipe.alpha, max_index=recipe.max_index)
    jpegdl = run("jpegdl", build_classifier(recipe.architecture, classes, seed=seed, codec=codec))

    card = PairCard(
        name=out.name,
        title=f"{dataset.title}, {recipe.architecture}, {size} px",
        architecture=recipe.architecture,
        class_names=dataset.class_names,
        input_size=size,
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
        weights={},
        training={
            "device": _device_name(device),
            "threads": torch.get_num_threads(),
            "seconds": {arm: round(sum(e.seconds for e in epochs)) for arm, epochs in history.items()},
            "versions": {package: version(package) for package in ("torch", "torchvision")},
            "commit": commit,
        },
    )
    save_pair(out, card, {"baseline": baseline, "jpegdl": jpegdl})
    measure(out, dataset, device)
    shutil.rmtree(work)
    return load_pair(out, device)


def initial_tables(recipe: Recipe, baseline: Classifier, clean: PreparedTensors) -> Tensor:
    """Initial steps of every round, (rounds, 2, 8, 8), grey levels."""
    if recipe.initial_tables == "ones":
        tables = torch.ones(2, 8, 8)
    else:
        measured = sensitivity(baseline, clean.images, clean.labels, batch_size=recipe.batch_size)
        tables = inverse_sensitivity_tables(measured, recipe.max_initial_step)
    return tables.expand(recipe.rounds, 2, 8, 8).clone()


def measure(folder: Path, dataset: Dataset, device: torch.device) -> PairCard:
    """Count both arms' right answers on the test and validation parts with the stored weights; rewrite the card."""
    pair = load_pair(folder, device)
    results = {}
    for name, examples in (("test", dataset.test), ("validation", dataset.validation)):
        prepared = prepared_tensors(examples, pair.card.input_size)
        scores = [logits(pair.arm(arm), prepared.images) for arm in ARMS]
        results[name] = compare(scores[0], scores[1], prepared.labels)
    return save_pair(folder, replace(pair.card, results=results), {arm: pair.arm(arm) for arm in ARMS})


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
