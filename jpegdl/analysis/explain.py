"""GradCAM++ of both arms for one class (paper figure 6), in the library's own arithmetic, before its scaling."""

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from pytorch_grad_cam import GradCAMPlusPlus
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn

from jpegdl.pairs.architectures import ARCHITECTURES
from jpegdl.pairs.checkpoints import ModelPair
from jpegdl.pairs.classifier import ARMS, Arm, Classifier

Array = NDArray[np.float32]

# The library puts hooks on the shared network, and two threads would read each other's; one at a time, in every caller.
_LOCK = threading.Lock()


def _renew_lock() -> None:
    """In a forked child (ZeroGPU), where the thread that held the lock at the fork does not exist to release it."""
    global _LOCK
    _LOCK = threading.Lock()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_renew_lock)


@dataclass(frozen=True)
class PairExplanation:
    """What both arms make of one picture, for one class. NumPy arrays, no gradients."""

    target: int  # index of the explained class, the same for both arms
    stage: str  # name of the explained stage
    probabilities: Mapping[Arm, Array]  # (classes,), softmax
    maps: Mapping[Arm, Array]  # (h, w) at the stage's own resolution, >= 0, in the library's raw units


@torch.inference_mode()
def predict_pair(pair: ModelPair, image: Tensor) -> dict[Arm, Array]:
    """Softmax probabilities (classes,) of both arms for one picture (1, 3, S, S) in [0, 1]."""
    image = image.to(pair.device)
    return {arm: pair.arm(arm)(image).softmax(1)[0].float().cpu().numpy() for arm in ARMS}


def explain_pair(pair: ModelPair, image: Tensor, target: int, *, stage: str) -> PairExplanation:
    """GradCAM++ of both arms for class `target` at the stage named `stage`, picture (1, 3, S, S) in [0, 1].

    Both maps come from the backbone behind the codec, so neither contains the codec's gradient. Safe to call from
    several threads; leaves no hook and no gradient behind, also when it raises. Raises ValueError for another shape,
    class or stage.
    """
    if image.ndim != 4 or image.shape[:2] != (1, 3):
        raise ValueError(f"expected one RGB picture of shape (1, 3, S, S), got {tuple(image.shape)}")
    if not 0 <= target < len(pair.card.class_names):
        raise ValueError(f"target must be a class index 0..{len(pair.card.class_names) - 1}, got {target}")
    stages = ARCHITECTURES[pair.card.architecture].stages
    if stage not in stages:
        raise ValueError(f"unknown stage {stage!r}; {pair.card.architecture} has {', '.join(stages)}")
    image = image.to(pair.device)
    views = {arm: _explain(pair.arm(arm), image, target, stages[stage]) for arm in ARMS}
    return PairExplanation(
        target=target,
        stage=stage,
        probabilities={arm: view[0] for arm, view in views.items()},
        maps={arm: view[1] for arm, view in views.items()},
    )


def _explain(classifier: Classifier, image: Tensor, target: int, layer: str) -> tuple[Array, Array]:
    """-> probabilities (classes,) and raw map (h, w) of one arm."""
    with torch.no_grad():
        seen = classifier.normalize(classifier.codec(image))
    backbone = classifier.backbone
    with _LOCK, _frozen(backbone), _UnscaledGradCAMPlusPlus(backbone, [backbone.get_submodule(layer)]) as cam:
        with torch.enable_grad():
            heat = cam(seen.requires_grad_(), [ClassifierOutputTarget(target)])
        probabilities = cam.outputs.detach().softmax(1)[0].float().cpu().numpy()
        cam.outputs = None
    return probabilities, heat[0]


class _UnscaledGradCAMPlusPlus(GradCAMPlusPlus):  # type: ignore[misc]
    """The library's map as computed, without its two min-max scalings, which hide how maps of two networks differ."""

    def compute_cam_per_layer(
        self, input_tensor: Tensor, targets: list[ClassifierOutputTarget], eigen_smooth: bool
    ) -> list[Array]:
        recorded = self.activations_and_grads
        activations, gradients = recorded.activations[0].numpy(), recorded.gradients[0].numpy()
        weighted = self.get_cam_image(input_tensor, self.target_layers[0], targets, activations, gradients)
        return [np.maximum(weighted, 0)]

    def aggregate_multi_layers(self, cam_per_target_layer: list[Array]) -> Array:
        return cam_per_target_layer[0]

    def __exit__(self, *_: object) -> None:
        """Take the hooks away; the library's own also prints an IndexError and goes on as if nothing had happened."""
        self.activations_and_grads.release()


@contextmanager
def _frozen(module: nn.Module) -> Iterator[None]:
    """No parameter of `module` asks for a gradient inside; its settings, gradients and modes are restored."""
    before = [(parameter, parameter.requires_grad, parameter.grad) for parameter in module.parameters()]
    modes = [(part, part.training) for part in module.modules()]
    module.requires_grad_(False)
    try:
        yield
    finally:
        for parameter, wanted, gradient in before:
            parameter.requires_grad_(wanted)
            parameter.grad = gradient
        for part, training in modes:
            part.training = training
