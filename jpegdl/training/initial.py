"""The tables that a recipe starts from (jpegdl/codec/initial.py says how each is made)."""

from collections.abc import Iterator

import torch
from torch import Tensor

from jpegdl.codec.initial import (
    inverse_sensitivity_tables,
    mean_absolute_tables,
    sensitivity,
    standard_tables,
)
from jpegdl.pairs.classifier import Classifier
from jpegdl.pairs.prepare import to_unit
from jpegdl.pairs.recipe import Recipe
from jpegdl.training.data import Prepared


def initial_tables(recipe: Recipe, baseline: Classifier, clean: Prepared) -> Tensor:
    """First steps of every round, (rounds, 2, 8, 8), grey levels; statistics are taken from the `clean` pictures."""
    batches = _in_unit(clean, baseline.mean.device)
    match recipe.initial_tables:
        case "inverse sensitivity":
            tables = inverse_sensitivity_tables(sensitivity(baseline, batches), recipe.max_initial_step)
        case "mean absolute":
            tables = mean_absolute_tables(batches, recipe.bits or 8)
        case "standard":
            tables = standard_tables()
        case "standard at quality 90":
            tables = standard_tables(90)
        case "ones":
            tables = torch.ones(2, 8, 8)
    return tables.expand(recipe.rounds, 2, 8, 8).clone()


def _in_unit(pictures: Prepared, device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
    return ((to_unit(images.to(device)), labels) for images, labels in pictures.batches())
