"""Codec, normalisation and backbone as one network: images [0, 1] in, logits out."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from jpegdl.codec.featurelayer import FeatureJPEGLayer
from jpegdl.codec.layer import JPEGLayer
from jpegdl.codec.parameters import TableLayer
from jpegdl.pairs.architectures import architecture

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
    name: str, num_classes: int, *, seed: int = 0, codec: JPEGLayer | None = None, backbone: nn.Module | None = None
) -> Classifier:
    """A classifier of the architecture `name`; `codec` None makes the baseline.

    The backbone, unless one is given, starts from weights that depend on `seed` alone, so both arms start equal; the
    caller's random state is left as it was. Raises ValueError for an unknown architecture.
    """
    facts = architecture(name)
    if backbone is None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            backbone = facts.build(num_classes)
    return Classifier(codec or nn.Identity(), backbone, facts.mean, facts.std)


def table_layer(model: Classifier) -> TableLayer | None:
    """The layer with tables, at the input or inside the backbone; None in a baseline."""
    return next((module for module in model.modules() if isinstance(module, TableLayer)), None)


def replace_first_relu(model: Classifier, make: Callable[[int], FeatureJPEGLayer]) -> Classifier:
    """Put `make`(channels) in the place of the ReLU after the first convolution (paper A.7); returns `model`.

    Raises ValueError for a backbone without `conv1` and `relu`: torchvision's ResNets have them.
    """
    convolution, relu = (getattr(model.backbone, name, None) for name in ("conv1", "relu"))
    if not isinstance(convolution, nn.Conv2d) or not isinstance(relu, nn.ReLU):
        raise ValueError(
            f"{type(model.backbone).__name__} has no ReLU named relu after a convolution named conv1; "
            "the layer can take that place in resnet18 and resnet34"
        )
    model.backbone.relu = make(convolution.out_channels)
    return model
