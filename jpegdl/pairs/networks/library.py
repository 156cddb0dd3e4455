"""Classifiers of timm and torchvision by name, and where a network that nobody has described can be explained."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torchvision
from torch import Tensor, nn

Triple = tuple[float, float, float]
SHOWN_STAGES = 3
NO_FEATURES = (nn.AdaptiveAvgPool2d, nn.Dropout, nn.Softmax)  # of the head, or of attention weights


def timm_build(name: str) -> tuple[Callable[[int], nn.Module], dict[str, Any]]:
    """-> builder from the number of classes, and timm's description of the network's pretrained weights.

    Never downloads. Raises ValueError for a name that timm does not know.
    """
    import timm

    if not timm.is_model(name) or ":" in name or "/" in name:
        raise ValueError(f"timm {timm.__version__} has no network {name!r}; timm.list_models() lists its names")
    build = partial(timm_network, name)
    with torch.device("meta"):
        return build, dict(build(2).pretrained_cfg)


def timm_network(name: str, num_classes: int) -> Any:
    """timm's network `name` from scratch."""
    import timm  # here, since it takes seconds and most runs need none of it

    return timm.create_model(name, pretrained=False, num_classes=num_classes)


def torchvision_build(name: str) -> Callable[[int], nn.Module]:
    """-> builder from the number of classes. Raises ValueError unless `name` is a torchvision image classifier."""
    known = torchvision.models.list_models(module=torchvision.models)
    if name not in known:
        raise ValueError(f"torchvision {torchvision.__version__} has no classifier {name!r}; it has {', '.join(known)}")
    return partial(_torchvision_network, name)


def _torchvision_network(name: str, num_classes: int) -> nn.Module:
    extra = {"init_weights": True, "aux_logits": False} if name in ("googlenet", "inception_v3") else {}
    return torchvision.models.get_model(name, weights=None, num_classes=num_classes, **extra)


def find_stages(build: Callable[[int], nn.Module], side: int) -> dict[str, str]:
    """Name -> path of the modules worth explaining, from a forward pass that computes shapes only.

    For each spatial size on the way down from `side`, the last of the outermost modules that put out square feature
    maps (N, C, S, S), 1 < S, which no later module writes into; of these the last three, the coarsest as the default.
    Raises ValueError for a network without any, or whose output is not logits (N, classes).
    """
    with torch.device("meta"):
        network = build(2).eval()
        pictures = torch.zeros(1, 3, side, side)
    outputs: list[tuple[str, Tensor, int]] = []

    def note(path: str, module: nn.Module, output: object) -> None:
        if isinstance(output, Tensor) and output.ndim == 4 and not isinstance(module, NO_FEATURES):
            outputs.append((path, output, output._version))

    for path, module in network.named_modules():
        if path:
            module.register_forward_hook(lambda module, _inputs, output, path=path: note(path, module, output))
    logits = network(pictures)
    if not isinstance(logits, Tensor) or logits.shape != (1, 2):
        raise ValueError("expected a classifier that puts out one tensor of logits (N, classes); take another network")
    found = _last_of_each_size([(path, output) for path, output, version in outputs if output._version == version])
    if not found:
        raise ValueError("the network puts out no square feature maps to explain; take a convolutional one")
    shown = list(enumerate(found, start=1))[-SHOWN_STAGES:]
    last = shown[-1][0]
    return {f"stage {number}" + " (last)" * (number == last): path for number, path in shown}


def _last_of_each_size(outputs: list[tuple[str, Tensor]]) -> list[str]:
    """Paths of the last outermost module for each side of square maps, from the largest to the smallest."""
    found: dict[int, str] = {}
    for path, output in outputs:
        height, width = output.shape[2:]
        if height != width or not 1 < width <= min(found, default=width):
            continue  # larger again than what came before: attention weights
        if path.count(".") <= found.get(width, path).count("."):
            found[width] = path
    return list(found.values())
