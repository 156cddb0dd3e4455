"""Quantization tables to start from (paper section 3.3 and appendix A.2)."""

from collections.abc import Iterable

import torch
from torch import Tensor

from jpegdl.codec.jpegfile import STANDARD_TABLES, scale_standard
from jpegdl.codec.layer import MAX_STEP, MIN_STEP, JPEGLayer
from jpegdl.pairs.classifier import Classifier
from jpegdl.pairs.prepare import to_unit
from jpegdl.training.data import Prepared
from jpegdl.training.recipes import Recipe
from jpegdl.training.sensitivity import inverse_sensitivity_tables, sensitivity


def initial_tables(recipe: Recipe, baseline: Classifier, clean: Prepared) -> Tensor:
    """First steps of every round, (rounds, 2, 8, 8), grey levels; statistics are taken from the `clean` pictures."""
    match recipe.initial_tables:
        case "inverse sensitivity":
            tables = inverse_sensitivity_tables(sensitivity(baseline, clean.batches()), recipe.max_initial_step)
        case "mean absolute":
            tables = mean_absolute_tables(clean.batches(), recipe.bits or 8, baseline.mean.device)
        case "standard":
            tables = torch.tensor(STANDARD_TABLES, dtype=torch.float32)
        case "standard at quality 90":
            tables = torch.tensor(scale_standard(90), dtype=torch.float32)
        case "ones":
            tables = torch.ones(2, 8, 8)
    return tables.expand(recipe.rounds, 2, 8, 8).clone()


def mean_absolute_tables(batches: Iterable[tuple[Tensor, Tensor]], bits: int, device: torch.device) -> Tensor:
    """2 mean|z| / sqrt(2^(bits - 1)) of each frequency, (2, 8, 8), grey levels; Cb and Cr together (A.2, after LSQ).

    `batches`: pictures uint8 (B, 3, H, W), and labels, which are not looked at.
    """
    codec = JPEGLayer(torch.ones(2, 8, 8), 1.0).to(device)
    total, blocks = torch.zeros(3, 8, 8, dtype=torch.float64), 0
    with torch.inference_mode():
        for images, _ in batches:
            coefficients = codec.coefficients(to_unit(images.to(device)))
            total += coefficients.abs().double().sum(dim=(0, 2)).cpu()
            blocks += coefficients.shape[0] * coefficients.shape[2]
    mean = total / blocks
    tables = 2 * torch.stack([mean[0], mean[1:].mean(0)]) / 2 ** ((bits - 1) / 2)
    return tables.clamp(MIN_STEP, MAX_STEP).float()
