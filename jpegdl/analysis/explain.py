"""GradCAM++ of both arms for one class (paper figure 6), in the library's own arithmetic, before its scaling."""

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pytorch_grad_cam import GradCAMPlusPlus
from torch import Tensor, nn

from jpegdl.pairs.architectures import architecture
from jpegdl.pairs.checkpoints import ModelPair
from jpegdl.pairs.classifier import ARMS, Arm, Classifier

Array = NDArray[np.float32]
Target = int | Literal["shared", "own"]

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
    """What both arms make of one picture. NumPy arrays, no gradients."""

    stage: str  # name of the explained stage
    probabilities: Mapping[Arm, Array]  # (classes,), softmax
    targets: Mapping[Arm, int]  # index of the class that each map explains
    maps: Mapping[Arm, Array]  # (h, w) at the stage's own resolution, >= 0, in the library's raw units

    @property
    def answers(self) -> dict[Arm, int]:
        """Each arm's first class."""
        return {arm: int(self.probabilities[arm].argmax()) for arm in ARMS}


def explain_pair(pair: ModelPair, image: Tensor, target: Target, *, stage: str) -> PairExplanation:
    """GradCAM++ of both arms at the stage named `stage`, for a picture (1, 3, S, S) in [0, 1].

    `target`: a class index for both arms; "shared", the class with the highest mean probability of the two; or "own",
    each arm's first class, which asks two different questions.

    Costs one forward pass an arm and a backward pass of what comes after the stage: the map depends on nothing else, so
    it contains no gradient of the codec. Safe to call from several threads; leaves no hook and no gradient behind, also
    when it raises. Raises ValueError for another shape, class or stage.
    """
    if image.ndim != 4 or image.shape[:2] != (1, 3):
        raise ValueError(f"expected one RGB picture of shape (1, 3, S, S), got {tuple(image.shape)}")
    if isinstance(target, int) and not 0 <= target < len(pair.card.class_names):
        raise ValueError(f"target must be a class index 0..{len(pair.card.class_names) - 1}, got {target}")
    stages = architecture(pair.card.architecture).stages
    if stage not in stages:
        raise ValueError(f"unknown stage {stage!r}; {pair.card.architecture} has {', '.join(stages)}")
    image = image.to(pair.device)
    with _LOCK, ExitStack() as stack:
        cams = {arm: stack.enter_context(_forward(pair.arm(arm), image, stages[stage])) for arm in ARMS}
        probabilities = {arm: cam.outputs.detach().softmax(1)[0].float().cpu().numpy() for arm, cam in cams.items()}
        targets = choose_targets(probabilities, target)
        maps = {arm: cams[arm].unscaled_map(targets[arm]) for arm in ARMS}
    return PairExplanation(stage=stage, probabilities=probabilities, targets=targets, maps=maps)


def choose_targets(probabilities: Mapping[Arm, Array], target: Target) -> dict[Arm, int]:
    """The class to explain for each arm; ties of "shared" go to the lower index."""
    if target == "own":
        return {arm: int(probabilities[arm].argmax()) for arm in ARMS}
    if target == "shared":
        return dict.fromkeys(ARMS, int((probabilities["baseline"] + probabilities["jpegdl"]).argmax()))
    return dict.fromkeys(ARMS, target)


class _UnscaledGradCAMPlusPlus(GradCAMPlusPlus):  # type: ignore[misc]
    """The library's map as computed, without its two min-max scalings, which hide how maps of two networks differ.

    Forward and backward pass are apart, because the class may depend on both arms' answers.
    """

    def unscaled_map(self, target: int) -> Array:
        self.outputs[0, target].backward()
        recorded = self.activations_and_grads
        activations, gradients = recorded.activations[0].numpy(), recorded.gradients[0].numpy()
        weighted = self.get_cam_image(None, self.target_layers[0], None, activations, gradients)
        return np.maximum(weighted, 0)[0]

    def __exit__(self, *_: object) -> None:
        """Take the hooks away; the library's own also prints an IndexError and goes on as if nothing had happened."""
        self.activations_and_grads.release()


@contextmanager
def _forward(classifier: Classifier, image: Tensor, layer: str) -> Iterator[_UnscaledGradCAMPlusPlus]:
    """The library around one arm's backbone after a forward pass whose graph begins at `layer`."""
    backbone = classifier.backbone
    explained = backbone.get_submodule(layer)
    with torch.no_grad():
        seen = classifier.normalize(classifier.codec(image))
        with _frozen(backbone), _graph_from(explained), _UnscaledGradCAMPlusPlus(backbone, [explained]) as cam:
            cam.outputs = cam.activations_and_grads(seen)
            yield cam


@contextmanager
def _graph_from(module: nn.Module) -> Iterator[None]:
    """Inside, a forward pass without gradients records them from the output of `module` on."""

    def cut(_module: nn.Module, _inputs: object, output: Tensor) -> Tensor:
        torch.set_grad_enabled(True)
        return output.detach().requires_grad_().clone()  # what follows may write into it, and not into a leaf

    hook = module.register_forward_hook(cut)
    try:
        yield
    finally:
        hook.remove()


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
