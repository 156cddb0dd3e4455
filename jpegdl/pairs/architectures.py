"""The networks a pair can be made of: one literal table, and any classifier of timm or torchvision by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial

from torch import nn

from jpegdl.pairs.networks.densenet import densenet121
from jpegdl.pairs.networks.library import find_stages, timm_build, timm_network, torchvision_build
from jpegdl.pairs.networks.mobilenet_cifar import mobilenetv2_half
from jpegdl.pairs.networks.preact_resnet import preact_resnet18
from jpegdl.pairs.networks.resnet_cifar import resnet_cifar
from jpegdl.pairs.networks.shufflenet_cifar import shufflenetv2_cifar
from jpegdl.pairs.networks.vgg_cifar import vgg_cifar

Triple = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """How to build a backbone, what it expects, and where it can be explained.

    `build`: number of classes -> network from scratch, normalised images (N, 3, H, W) to logits (N, classes).
    `stages`: name shown to people -> path of the module whose output GradCAM++ explains; the last is the default.
    `mean`, `std`: of the pixels in [0, 1], for each of R, G and B.
    `short_side`: a picture's short side before the centre crop, in units of the input size.
    """

    build: Callable[[int], nn.Module]
    stages: Mapping[str, str]
    mean: Triple = (0.485, 0.456, 0.406)
    std: Triple = (0.229, 0.224, 0.225)
    short_side: float = 256 / 224

    @property
    def default_stage(self) -> str:
        return list(self.stages)[-1]


def _cifar(build: Callable[[int], nn.Module], stages: Mapping[str, str]) -> Architecture:
    """With the statistics of CIFAR-100, and for pictures that come at the input size (paper A.3)."""
    mean, std = (0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761)
    return Architecture(build=build, stages=stages, mean=mean, std=std, short_side=1.0)


def _torchvision(name: str, stages: Mapping[str, str]) -> Architecture:
    return Architecture(build=torchvision_build(name), stages=stages)


_RESNET_CIFAR = {"stage 1": "layer1", "stage 2": "layer2", "stage 3 (last)": "layer3"}
_VGG = {"stage 2": "stage2", "stage 3": "stage3", "stage 4": "stage4", "stage 5 (last)": "stage5"}
_RESNET = {"stage 2": "layer2", "stage 3": "layer3", "stage 4 (last)": "layer4"}

# Where a norm and a ReLU follow a stage, what is explained is their output: GradCAM++ expects features >= 0.
ARCHITECTURES: dict[str, Architecture] = {
    "resnet32": _cifar(partial(resnet_cifar, 32), _RESNET_CIFAR),
    "resnet56": _cifar(partial(resnet_cifar, 56), _RESNET_CIFAR),
    "resnet110": _cifar(partial(resnet_cifar, 110), _RESNET_CIFAR),
    "vgg8": _cifar(partial(vgg_cifar, 1), _VGG),
    "vgg13": _cifar(partial(vgg_cifar, 2), _VGG),
    "mobilenetv2_half": _cifar(
        mobilenetv2_half, {"stage 3": "stages.2", "stage 5": "stages.4", "stage 7": "stages.6", "1x1 (last)": "last"}
    ),
    "shufflenetv2": _cifar(
        shufflenetv2_cifar, {"stage 1": "stage1", "stage 2": "stage2", "stage 3": "stage3", "1x1 (last)": "last"}
    ),
    "resnet18": _torchvision("resnet18", _RESNET),
    "resnet34": _torchvision("resnet34", _RESNET),
    "preact_resnet18": Architecture(
        build=preact_resnet18,
        stages={"stage 2": "layer3.0.before", "stage 3": "layer4.0.before", "stage 4 (last)": "active"},
    ),
    "densenet121": Architecture(
        build=densenet121,
        stages={
            "block 1": "features.transition1.relu",
            "block 2": "features.transition2.relu",
            "block 3": "features.transition3.relu",
            "block 4 (last)": "relu",
        },
    ),
    "squeezenet1_1": _torchvision(
        "squeezenet1_1", {"fire 3": "features.4", "fire 5": "features.7", "fire 9 (last)": "features.12"}
    ),
    "efficientformer_l1": Architecture(
        build=partial(timm_network, "efficientformer_l1"),
        stages={"stage 2": "stages.1", "stage 3": "stages.2", "stage 4 (last)": "stages.3.blocks.2"},
    ),
}

_TITLES = {
    "resnet32": "ResNet-32",
    "resnet56": "ResNet-56",
    "resnet110": "ResNet-110",
    "vgg8": "VGG-8",
    "vgg13": "VGG-13",
    "mobilenetv2_half": "MobileNetV2 of half width",
    "shufflenetv2": "ShuffleNetV2",
    "resnet18": "ResNet-18",
    "resnet34": "ResNet-34",
    "preact_resnet18": "PreActResNet-18",
    "densenet121": "DenseNet-121",
    "squeezenet1_1": "SqueezeNet 1.1",
    "efficientformer_l1": "EfficientFormer-L1",
    "timm:tf_efficientnet_lite0": "EfficientNet-Lite0",
}


def network_title(name: str) -> str:
    """The network of an architecture as people write it; of a library's own, as the library does."""
    return _TITLES.get(name, name.split(":")[-1])


def architecture(name: str) -> Architecture:
    """The row of ARCHITECTURES, or one made for `timm:NAME` or `torchvision:NAME` with the statistics of its ImageNet
    weights. Raises ValueError for a name that none of them knows."""
    if name in ARCHITECTURES:
        return ARCHITECTURES[name]
    library, separator, network = name.partition(":")
    if separator and library in ("timm", "torchvision"):
        return _by_name(library, network)
    known = ", ".join(ARCHITECTURES)
    raise ValueError(f"unknown architecture {name!r}; this version knows {known}, and timm:NAME and torchvision:NAME")


@cache
def _by_name(library: str, name: str) -> Architecture:
    if library == "torchvision":
        build = torchvision_build(name)
        return Architecture(build=build, stages=find_stages(build, 224))
    build, pretrained = timm_build(name)
    return Architecture(
        build=build,
        stages=find_stages(build, pretrained["input_size"][-1]),
        mean=pretrained["mean"],
        std=pretrained["std"],
    )
