"""Logits of a set, and the paired counts that follow from two sets of logits."""

import torch
from torch import Tensor, nn

from jpegdl.pairs.comparison import Comparison
from jpegdl.pairs.prepare import to_unit


@torch.inference_mode()
def logits(model: nn.Module, images: Tensor, *, batch_size: int = 64) -> Tensor:
    """Logits (N, classes), float32, CPU, of prepared uint8 pictures (N, 3, H, W); the model in evaluation mode."""
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    rows = [model(to_unit(chunk.to(device))).float().cpu() for chunk in images.split(batch_size)]
    model.train(was_training)
    return torch.cat(rows)


def compare(baseline: Tensor, jpegdl: Tensor, labels: Tensor) -> Comparison:
    """Paired top-1 counts of two arms' logits (N, classes) against labels (N,)."""
    return paired_counts(baseline.argmax(1) == labels, jpegdl.argmax(1) == labels)


def paired_counts(first: Tensor, second: Tensor) -> Comparison:
    """Paired counts of two sides' right answers, bool (N,); `first` is the baseline side."""
    return Comparison(
        both=int((first & second).sum()),
        only_baseline=int((first & ~second).sum()),
        only_jpegdl=int((~first & second).sum()),
        neither=int((~first & ~second).sum()),
    )
