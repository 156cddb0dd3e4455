"""How long a run takes on this device: a few real steps of both arms, timed and thrown away."""

import itertools
import statistics
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from jpegdl.pairs.classifier import ARMS, Arm, Classifier, table_layer
from jpegdl.pairs.prepare import to_unit
from jpegdl.pairs.recipe import Recipe
from jpegdl.training import processes
from jpegdl.training.arms import baseline_arm, first_backbone, jpegdl_arm
from jpegdl.training.data import Batch, Dataset, Prepared
from jpegdl.training.loop import constrain, epoch_generator, make_optimizers, train_step
from jpegdl.training.precision import in_precision, slow_layers_in_float32
from jpegdl.training.sources import Sources

_PATIENCE = 3.0  # seconds that an arm's steps are timed for, about
_MOST = 5  # steps of an arm, after those that warm up
_FEW = 8  # pictures of a step that warms up


@dataclass(frozen=True)
class Pace:
    """Seconds that an epoch of each arm takes, and what a seed takes besides: first tables, counting at the end."""

    epoch: Mapping[Arm, float]
    besides: float


@dataclass(frozen=True)
class Outlook:
    """What is left of a run: epochs of each seed's arms, in the order of training, and the pace."""

    pace: Pace
    left: Mapping[tuple[int, Arm], int]

    @property
    def seconds(self) -> float:
        seeds = {seed for seed, _ in self.left}
        return self.pace.besides * len(seeds) + sum(self.pace.epoch[arm] * n for (_, arm), n in self.left.items())


def measure_pace(
    recipe: Recipe,
    dataset: Dataset,
    data: Sources,
    device: torch.device,
    precision: torch.dtype,
    weights: Path | None = None,
) -> Pace:
    """Train fresh arms for a few steps and forget them; neither random states nor anything that is kept changes."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        training, testing = {}, {}
        for arm in ARMS:
            model = _fresh(recipe, arm, len(dataset.class_names), weights)
            model.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # as in loop.py
            with slow_layers_in_float32(model, device):
                batches = data.train.batches(epoch_generator(0, 1))
                training[arm], pictures = _seconds_a_picture(model, recipe, batches, precision)
            testing[arm] = _seconds_a_test(model, data.validation, pictures, device, precision)
    share = len(dataset.train) / processes.count()
    epoch = {arm: training[arm] * share + testing[arm] * len(dataset.validation) for arm in ARMS}
    tables_from = len(dataset.train) if recipe.initial_tables == "inverse sensitivity" else 0
    counted = len(dataset.test) + len(dataset.validation)
    return Pace(epoch, training["baseline"] * min(tables_from, 10_000) + sum(testing.values()) * counted)


def _fresh(recipe: Recipe, arm: Arm, classes: int, weights: Path | None) -> Classifier:
    backbone = first_backbone(recipe, classes, 0, weights)
    if arm == "baseline":
        return baseline_arm(recipe, classes, backbone)
    tables = torch.full((recipe.rounds, 2, 8, 8), 8.0) if recipe.place == "input" else None
    return jpegdl_arm(recipe, classes, backbone, tables)


def _seconds_a_picture(
    model: Classifier, recipe: Recipe, batches: Iterator[Batch], precision: torch.dtype
) -> tuple[float, int]:
    """Seconds for each picture of a training step, with its augmentation, and how many pictures a timed step had.

    On a slow device steps of fewer pictures are timed, so that this takes seconds whatever the recipe's batch is.
    """
    model.train()
    optimizers, layer = make_optimizers(model, recipe), table_layer(model)

    def step(batch: Batch) -> float:
        started = time.perf_counter()
        loss, _ = train_step(model, optimizers, batch, label_smoothing=recipe.label_smoothing, precision=precision)
        if layer is not None:
            constrain(layer, recipe)
        loss.item()  # waits for the device
        return time.perf_counter() - started

    first = next(batches)
    few = _part(first, _FEW)
    step(few)  # kernels are compiled and chosen
    guess = step(few) / len(few.inputs)
    count = max(len(few.inputs), min(len(first.inputs), int(_PATIENCE / guess)))
    timed = _part(first, count)
    step(timed)  # the first of a size takes memory, and again chooses kernels
    times = [step(timed)]
    while sum(times) < _PATIENCE and len(times) < _MOST:
        times.append(step(timed))
    started, following = time.perf_counter(), next(batches, None)
    made = 0.0 if following is None else (time.perf_counter() - started) / len(following.inputs)
    return made + statistics.median(times) / count, count


def _part(batch: Batch, count: int) -> Batch:
    inputs = batch.inputs[:count]
    return Batch(inputs, batch.targets[:count], len(inputs) * processes.count())


@torch.inference_mode()
def _seconds_a_test(
    model: Classifier, pictures: Prepared, count: int, device: torch.device, precision: torch.dtype
) -> float:
    """Seconds that one prepared picture takes in a test."""
    model.eval()
    (images, _), *_ = itertools.islice(pictures.batches(), 1)
    images, times = images[:count], []
    for _ in range(2):
        started = time.perf_counter()
        with in_precision(precision, device):
            model(to_unit(images.to(device))).sum().item()
        times.append(time.perf_counter() - started)
    return times[-1] / len(images)
