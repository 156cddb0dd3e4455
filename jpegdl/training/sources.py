"""Where a run's pictures come from: memory, or the disk for sets that do not fit."""

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from jpegdl.pairs.architectures import architecture
from jpegdl.pairs.cores import cpu_cores
from jpegdl.pairs.recipe import Recipe
from jpegdl.training import processes
from jpegdl.training.batches import tensor_batches
from jpegdl.training.data import (
    Batches,
    Dataset,
    Examples,
    Prepared,
    TrainingSet,
    evenly,
    prepared_tensors,
    training_tensors,
)
from jpegdl.training.imagenet import PreparedStream, streamed_batches

_STATISTICS = 10_000  # pictures that initial tables are taken from, as in the paper on CIFAR-100
_IN_MEMORY = 20_000  # files; larger sets are read from disk batch by batch
_WORKERS = min(16, cpu_cores())  # processes that decode them


@dataclass(frozen=True)
class Sources:
    """The pictures that a run reads, in the forms that it needs."""

    train: TrainingSet
    clean: Prepared  # training pictures, prepared as in a test, for the initial tables
    validation: Prepared


def read_sources(recipe: Recipe, dataset: Dataset, device: torch.device) -> Sources:
    """Decode what fits into memory; larger sets of files are read from disk batch by batch."""
    size, short_side = recipe.input_size, short_side_of(recipe.architecture, recipe.input_size)
    return Sources(
        train=TrainingSet(_batches(recipe, dataset, device), math.ceil(len(dataset.train) / recipe.batch_size)),
        clean=prepared(evenly(dataset.train, _STATISTICS), size, short_side),
        validation=prepared(dataset.validation, size, short_side),
    )


def _batches(recipe: Recipe, dataset: Dataset, device: torch.device) -> Batches:
    rank, count = processes.rank(), processes.count()
    if not _streams(dataset.train):
        stored = training_tensors(dataset.train, recipe.input_size if recipe.augmentation == "shifted crop" else None)
        return tensor_batches(recipe, stored, len(dataset.class_names), device, rank=rank, count=count)
    if recipe.augmentation != "resized crop":
        raise ValueError(
            f"{recipe.name}: {recipe.augmentation} needs all pictures in memory, at most {_IN_MEMORY} files; "
            f"got {len(dataset.train)}; use a resized crop"
        )
    return streamed_batches(
        dataset.train, recipe.input_size, recipe.batch_size, workers=_WORKERS, device=device, rank=rank, count=count
    )


def _streams(examples: Examples) -> bool:
    return len(examples) > _IN_MEMORY and isinstance(examples.pictures[0], Path)


def short_side_of(name: str, input_size: int) -> int:
    """Pixels to which the short side of a picture is scaled before its centre is cut out for the architecture."""
    return round(input_size * architecture(name).short_side)


def prepared(examples: Examples, size: int, short_side: int) -> Prepared:
    """Pictures as a network is tested on them, from memory or, if they are many files, from disk."""
    if _streams(examples):
        return PreparedStream(examples, size, short_side, _WORKERS)
    return prepared_tensors(examples, size, short_side)


def all_at_once(pictures: Prepared) -> tuple[Tensor, Tensor]:
    """Every picture, uint8 (N, 3, S, S), and labels (N,)."""
    images, labels = zip(*pictures.batches(), strict=True)
    return torch.cat(images), torch.cat(labels)
