"""Codec, normalisation and backbone as one network: images [0, 1] in, logits out."""

from typing import Literal

import torch
from torch import Tensor, nn

from jpegdl.codec.layer import JPEGLayer
from jpegdl.pairs.architectures import ARCHITECTURES

Arm = Literal["baseline", "jpegdl"]
ARMS: tuple[Arm, Arm] = ("baseline", "jpegdl")


class Classifier(nn.Module):
    """One arm of a pair. The baseline's codec is the identity; nothing else differs.

    Images (N, 3, H, W), float, RGB, 1.0 = white -> logits (N, classes).
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        codec: JPEGLayer | nn.Identity,
        backbone: nn.Module,
        mean: tuple[float, ...],
        std: tuple[float, ...],
    ) -> None:
        super().__init__()
        self.codec = codec
        self.backbone = backbone
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.backbone(self.normalize(self.codec(images)))
        return logits

    def normalize(self, images: Tensor) -> Tensor:
        """The data set's mean and deviation, taken out after the codec (paper a.1: inside the layer's output)."""
        return (images - self.mean) / self.std


def build_classifier(
    architecture: str, num_classes: int, *, seed: int = 0, codec: JPEGLayer | None = None
) -> Classifier:
    """A classifier from scratch; `codec` None makes the baseline.

    The backbone's first weights depend on `seed` alone, so both arms start equal; the caller's random state is left
    as it was. Raises ValueError for an architecture that is not in ARCHITECTURES.
    """
    if architecture not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise ValueError(f"unknown architecture {architecture!r}; this version knows {known}")
    facts = ARCHITECTURES[architecture]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        backbone = facts.build(num_classes)
    return Classifier(codec or nn.Identity(), backbone, facts.mean, facts.std)
