"""Both arms of a pair from one recipe: baseline, initial tables, JPEG-DL, counts, card; for one seed or several."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from jpegdl.pairs.card import PairCard
from jpegdl.pairs.checkpoints import ModelPair, load_pair, save_pair
from jpegdl.pairs.classifier import ARMS, Arm, Classifier
from jpegdl.pairs.evaluate import compare, logits
from jpegdl.training import processes
from jpegdl.training.arms import baseline_arm, first_backbone, first_steps, jpegdl_arm
from jpegdl.training.data import Dataset
from jpegdl.training.describe import card_of, summary
from jpegdl.training.history import Epoch, Moment
from jpegdl.training.initial import initial_tables
from jpegdl.training.loop import epochs_done, fit
from jpegdl.training.pace import Outlook, measure_pace
from jpegdl.training.recipes import Recipe, shared_settings
from jpegdl.training.sources import Sources, prepared, read_sources

Report = Callable[[int, Arm, Epoch], None]  # seed, arm, epoch


@dataclass(frozen=True, kw_only=True)
class Run:
    """Where and how a pair is trained, beside the recipe."""

    seeds: Sequence[int]
    device: torch.device
    report: Report
    announce: Callable[[Outlook], None] | None = None  # told how long it will take, before the first step
    watch: Callable[[int, Arm, Moment], None] | None = None  # told once a minute, of seed and arm, inside an epoch
    precision: torch.dtype = torch.bfloat16  # of the networks in training; the layer computes in float32
    commit: str = ""
    baseline: Path | None = None  # a pair whose baseline is taken instead of training one
    weights: Path | None = None  # ImageNet weights for recipes that start from them, if no package has them


def train_pair(recipe: Recipe, dataset: Dataset, out: Path, run: Run) -> ModelPair:
    """Train, save and re-read a pair; the counts in its card are measured with the stored weights.

    The weights are those of the first seed; of the others the card keeps counts and tables. State of an unfinished run
    lies in a hidden folder beside `out` and is continued if it exists; it is removed when the pair is complete.
    `run.report` is called after every epoch, also after those that an earlier process finished.
    """
    work = out.with_name(f".{out.name}.training")
    work.mkdir(parents=True, exist_ok=True)
    folders = [work / f"seed{seed}" for seed in run.seeds]
    unfinished = {seed: folder for seed, folder in zip(run.seeds, folders, strict=True) if not folder.exists()}
    if unfinished:
        data = read_sources(recipe, dataset, run.device)
        if run.announce and processes.rank() == 0:
            pace = measure_pace(recipe, dataset, data, run.device, run.precision, run.weights)
            run.announce(Outlook(pace, _epochs_left(recipe, unfinished, run)))
        processes.wait()
    for seed, folder in unfinished.items():
        _train_seed(recipe, dataset, data, folder, seed, run)
        processes.wait()
    if processes.rank() == 0:
        first, *others = (load_pair(folder) for folder in folders)
        card = replace(first.card, other_seeds=[summary(pair.card) for pair in others])
        save_pair(out, card, {arm: first.arm(arm) for arm in ARMS})
        shutil.rmtree(work)
    processes.wait()
    return load_pair(out, run.device)


def _epochs_left(recipe: Recipe, unfinished: Mapping[int, Path], run: Run) -> dict[tuple[int, Arm], int]:
    trained: tuple[Arm, ...] = ARMS if run.baseline is None else ("jpegdl",)
    return {
        (seed, arm): recipe.epochs - epochs_done(_state_file(folder, arm))
        for seed, folder in unfinished.items()
        for arm in trained
    }


def _state_file(folder: Path, arm: Arm) -> Path:
    return folder.with_name(f"{folder.name}-{arm}.pt")


def _train_seed(recipe: Recipe, dataset: Dataset, data: Sources, folder: Path, seed: int, run: Run) -> None:
    """One complete pair in `folder`."""
    history: dict[Arm, list[Epoch]] = {}

    def train(arm: Arm, model: Classifier) -> Classifier:
        history[arm] = []
        epochs = fit(
            model,
            recipe,
            data.train,
            data.validation,
            seed=seed,
            device=run.device,
            precision=run.precision,
            state_file=_state_file(folder, arm),
            watch=partial(run.watch, seed, arm) if run.watch and processes.rank() == 0 else None,
        )
        for epoch in epochs:
            history[arm].append(epoch)
            if processes.rank() == 0:
                run.report(seed, arm, epoch)
        return model

    classes = len(dataset.class_names)

    def backbone() -> nn.Module:
        return first_backbone(recipe, classes, seed, run.weights)

    if run.baseline is None:
        baseline = train("baseline", baseline_arm(recipe, classes, backbone()))
    else:
        found = _taken_baseline(recipe, dataset, seed, run.baseline)
        baseline, history["baseline"] = (
            found.baseline.to(run.device),
            [
                Epoch(**({"precision": found.card.training["precision"]} | epoch))
                for epoch in found.card.history["baseline"]
            ],
        )
    tables = initial_tables(recipe, baseline, data.clean) if recipe.place == "input" else None
    fresh = jpegdl_arm(recipe, classes, backbone(), tables)
    started_from = first_steps(fresh)
    jpegdl = train("jpegdl", fresh)
    if processes.rank() == 0:
        card = card_of(recipe, dataset, seed, started_from, history, run.device, run.precision, run.commit)
        save_pair(folder, card, {"baseline": baseline, "jpegdl": jpegdl})
        measure(folder, dataset, run.device)


def _taken_baseline(recipe: Recipe, dataset: Dataset, seed: int, folder: Path) -> ModelPair:
    """A pair whose baseline is what this recipe would train. Raises ValueError if it is not."""
    pair = load_pair(folder)
    ours, theirs = shared_settings(recipe), pair.card.recipe
    odd = [name for name, value in ours.items() if _plain(value) != _plain(theirs.get(name))]
    if pair.card.seed != seed:
        odd.append("seed")
    if pair.card.dataset["split"] != dataset.split:
        odd.append("split")
    if odd:
        raise ValueError(f"the baseline of {folder.name} was trained with another {', '.join(odd)}; train one instead")
    return pair


def measure(folder: Path, dataset: Dataset, device: torch.device) -> PairCard:
    """Count both arms' right answers on the test and validation parts with the stored weights; rewrite the card."""
    pair = load_pair(folder, device)
    results = {}
    for name, examples in (("test", dataset.test), ("validation", dataset.validation)):
        scores: dict[Arm, list[Tensor]] = {arm: [] for arm in ARMS}
        labels = []
        for images, targets in prepared(examples, pair.card.input_size, pair.card.short_side).batches():
            labels.append(targets)
            for arm in ARMS:
                scores[arm].append(logits(pair.arm(arm), images))
        results[name] = compare(torch.cat(scores["baseline"]), torch.cat(scores["jpegdl"]), torch.cat(labels))
    return save_pair(folder, replace(pair.card, results=results), {arm: pair.arm(arm) for arm in ARMS})


def _plain(value: Any) -> Any:
    """As it comes back from JSON."""
    return list(value) if isinstance(value, tuple) else value
