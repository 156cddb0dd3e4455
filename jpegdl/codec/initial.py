"""Quantization tables to start from, for any classifier (paper section 3.3 and appendix A.2).

Batches are what a loader gives: pictures (B, 3, H, W), float, 1.0 = white, and labels (B,). Tables are (2, 8, 8): luma,
chroma; grey levels a step; float32, in the layer's range.
"""

from collections.abc import Iterable
from itertools import chain

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from jpegdl.codec.jpegfile import scale_standard
from jpegdl.codec.layer import MAX_STEP, MIN_STEP, JPEGLayer


def standard_tables(quality: int = 50) -> Tensor:
    """The JPEG standard's tables, scaled as libjpeg does for a quality 1..100; 50 gives them as they are printed."""
    return torch.from_numpy(scale_standard(quality)).float()


def sensitivity(classifier: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> Tensor:
    """Mean over blocks of (d loss / d coefficient)^2, (3, 8, 8) float64: Y, Cb, Cr; unit 1 / grey level^2.

    `classifier`: trained without the layer, pictures -> logits. `batches`: clean training pictures and their labels.
    loss = a picture's own cross-entropy, so every picture weighs the same, however they are batched. The network is
    asked in evaluation mode, and afterwards is as it was. Only ratios between frequencies matter to
    `inverse_sensitivity_tables`. Raises ValueError if there are no pictures.
    """
    first = next(chain(classifier.parameters(), classifier.buffers()), torch.empty(0))
    codec = JPEGLayer(torch.ones(2, 8, 8), 1.0).to(first.device)
    modes = [(module, module.training) for module in classifier.modules()]
    classifier.eval()
    total, blocks = torch.zeros(3, 8, 8, dtype=torch.float64), 0
    try:
        for pictures, labels in batches:
            with torch.no_grad():
                coefficients = codec.coefficients(pictures.to(first.device))
            coefficients.requires_grad_()
            logits = classifier(codec.to_images(coefficients, *pictures.shape[-2:]))
            # A mean would divide by the batch's size.
            loss = cross_entropy(logits, labels.to(first.device), reduction="sum")
            (gradient,) = torch.autograd.grad(loss, coefficients)
            total += gradient.double().square().sum(dim=(0, 2)).cpu()
            blocks += gradient.shape[0] * gradient.shape[2]
    finally:
        for module, training in modes:
            module.training = training
    return total / _some(blocks)


def inverse_sensitivity_tables(sensitivities: Tensor, max_step: float) -> Tensor:
    """(3, 8, 8) sensitivities -> tables: max_step at the least sensitive luma frequency.

    q = max_step * min(s_Y) / s, with the mean of Cb and Cr for chroma (which may thus exceed max_step), moved into
    the layer's range. Raises ValueError unless every sensitivity is positive and finite.
    """
    if not bool((torch.isfinite(sensitivities) & (sensitivities > 0)).all()):
        raise ValueError("every sensitivity must be positive and finite; is the baseline trained?")
    luma, chroma = sensitivities[0], sensitivities[1:].mean(0)
    tables = max_step * luma.min() / torch.stack([luma, chroma])
    return tables.clamp(MIN_STEP, MAX_STEP).float()


def mean_absolute_tables(batches: Iterable[tuple[Tensor, Tensor]], bits: int = 8) -> Tensor:
    """2 mean|z| / sqrt(2^(bits - 1)) of each frequency, Cb and Cr together (A.2, after LSQ). Labels are not looked at.

    Raises ValueError if there are no pictures.
    """
    codec = JPEGLayer(torch.ones(2, 8, 8), 1.0)
    total, blocks = torch.zeros(3, 8, 8, dtype=torch.float64), 0
    with torch.inference_mode():
        for pictures, _ in batches:
            coefficients = codec.coefficients(pictures)
            total += coefficients.abs().double().sum(dim=(0, 2)).cpu()
            blocks += coefficients.shape[0] * coefficients.shape[2]
    mean = total / _some(blocks)
    tables = 2 * torch.stack([mean[0], mean[1:].mean(0)]) / 2 ** ((bits - 1) / 2)
    return tables.clamp(MIN_STEP, MAX_STEP).float()


def _some(blocks: int) -> int:
    if not blocks:
        raise ValueError("there were no pictures to take statistics of; give an iterable of (pictures, labels)")
    return blocks
