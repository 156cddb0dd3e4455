"""The networks a pair can be made of: one literal table."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import nn
from torchvision.models import resnet18


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """How to build a backbone and where it can be explained.

    `build`: number of classes -> network from scratch, normalised images (N, 3, H, W) to logits (N, classes).
    `stages`: name shown to people -> path of the module whose output GradCAM++ explains; the last is the default.
    """

    build: Callable[[int], nn.Module]
    stages: Mapping[str, str]
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)

    @property
    def default_stage(self) -> str:
        return list(self.stages)[-1]


def _resnet18(num_classes: int) -> nn.Module:
    return resnet18(weights=None, num_classes=num_classes)


ARCHITECTURES: dict[str, Architecture] = {
    "resnet18": Architecture(
        build=_resnet18,
        stages={"stage 2": "layer2", "stage 3": "layer3", "stage 4 (last)": "layer4"},
    ),
}
