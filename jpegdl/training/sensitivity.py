"""Sensitivity of a trained baseline to each frequency, and tables inverse to it (paper section 3.3)."""

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from jpegdl.codec.layer import MAX_STEP, MIN_STEP, JPEGLayer
from jpegdl.pairs.classifier import Classifier
from jpegdl.pairs.prepare import to_unit


def sensitivity(baseline: Classifier, batches: Iterable[tuple[Tensor, Tensor]]) -> Tensor:
    """Mean over blocks of (d loss / d coefficient)^2, (3, 8, 8) float64: Y, Cb, Cr; unit 1 / grey level^2.

    `batches`: clean training pictures, uint8 (B, 3, H, W), and their labels (B,); loss = a picture's own cross-entropy,
    so every picture weighs the same, however they are batched; the network is in evaluation mode. Only ratios between
    frequencies matter to `inverse_sensitivity_tables`.
    """
    device = baseline.mean.device
    codec = JPEGLayer(torch.ones(2, 8, 8), 1.0).to(device)
    baseline.eval()
    total, blocks = torch.zeros(3, 8, 8, dtype=torch.float64), 0
    for chunk, target in batches:
        with torch.no_grad():
            coefficients = codec.coefficients(to_unit(chunk.to(device)))
        coefficients.requires_grad_()
        logits = baseline(codec.to_images(coefficients, *chunk.shape[-2:]))
        loss = cross_entropy(logits, target.to(device), reduction="sum")  # a mean would divide by the batch's size
        (gradient,) = torch.autograd.grad(loss, coefficients)
        total += gradient.double().square().sum(dim=(0, 2)).cpu()
        blocks += gradient.shape[0] * gradient.shape[2]
    return total / blocks


def inverse_sensitivity_tables(sensitivities: Tensor, max_step: float) -> Tensor:
    """(3, 8, 8) sensitivities -> tables (2, 8, 8), grey levels: max_step at the least sensitive luma frequency.

    q = max_step * min(s_Y) / s, with the mean of Cb and Cr for chroma (which may thus exceed max_step), moved into
    the layer's range. Raises ValueError unless every sensitivity is positive and finite.
    """
    if not bool((torch.isfinite(sensitivities) & (sensitivities > 0)).all()):
        raise ValueError("every sensitivity must be positive and finite; is the baseline trained?")
    luma, chroma = sensitivities[0], sensitivities[1:].mean(0)
    tables = max_step * luma.min() / torch.stack([luma, chroma])
    return tables.clamp(MIN_STEP, MAX_STEP).float()
