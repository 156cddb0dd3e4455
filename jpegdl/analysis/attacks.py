"""Untargeted L-infinity attacks: one gradient step, many steps, and one that needs no gradient.

The contract of all: images (N, 3, H, W), float, RGB, 0 = black and 1 = white, and labels (N,) in; examples of the same
shape out, at most `eps` from the images at every value and inside [0, 1], not rounded to 8 bits. `model` maps such
images to logits and is in evaluation mode; it is left as it was, without gradients on its parameters. The loss is cross
entropy with the true labels. Each raises ValueError for pictures outside [0, 1], a model in training mode or an empty
budget.
"""

import hashlib
from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn.functional import cross_entropy

from jpegdl.codec.layer import JPEGLayer
from jpegdl.codec.quantizer import soft_quantize_all_levels
from jpegdl.pairs.classifier import Classifier

EPSILONS = tuple(float(eps) for eps in np.linspace(1, 4, 10) / 255)  # paper figure 3, shares of white
PAPER_STEPS = 5  # of PGD, each of eps / 2
ZERO = 1e-15  # what the layer's arithmetic may leave of an exact 0; the sign of that would be an attack
ART = "adversarial-robustness-toolbox==1.20.1"


def fgsm(model: nn.Module, images: Tensor, labels: Tensor, eps: float) -> Tensor:
    """One step of `eps` along the sign of the gradient (paper figure 3; Goodfellow et al. 2015)."""
    _check(model, images, labels, eps)
    return _inside(images + eps * look(model, images, labels).gradient.sign(), images, eps)


def pgd_last(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    eps: float,
    *,
    steps: int,
    step_size: float,
    generator: torch.Generator,
) -> Tensor:
    """Where `steps` signed gradient steps from a uniformly random start end (paper figure 3; Madry et al. 2018).

    The paper's protocol: 5 steps of eps / 2. The last point need not be the worst one met; `pgd` keeps that.
    """
    _check(model, images, labels, eps, steps, step_size)
    current = _random_start(images, eps, generator)
    for _ in range(steps):
        current = _inside(current + step_size * look(model, current, labels).gradient.sign(), images, eps)
    return current


def pgd(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    eps: float,
    *,
    steps: int,
    step_size: float,
    restarts: int = 1,
    generator: torch.Generator,
) -> Tensor:
    """The worst point that signed gradient steps meet, per picture, over `restarts` uniformly random starts.

    The first point with a wrong answer, else the one with the highest loss, among the picture itself, the starts and
    all points on the way: never weaker than its starts. A picture whose answer is wrong costs no further pass.
    """
    _check(model, images, labels, eps, steps, step_size, restarts)
    worst = images.detach().clone()
    _, highest, right = look(model, images, labels)
    left = right.nonzero()[:, 0]  # numbers of the pictures that are still answered rightly
    for _ in range(restarts):
        current = _random_start(images[left], eps, generator)
        for _ in range(steps + 1):
            if not len(left):
                return worst
            gradient, losses, right = look(model, current, labels[left])
            better = ~right | (losses > highest[left])
            worst[left[better]], highest[left[better]] = current[better], losses[better]
            left = left[right]
            current = _inside(current[right] + step_size * gradient[right].sign(), images[left], eps)
    return worst


def square(
    model: nn.Module, images: Tensor, labels: Tensor, eps: float, *, queries: int, generator: torch.Generator
) -> Tensor:
    """Random squares of +-eps that lower the margin of the true class (Andriushchenko et al. 2020), by ART.

    Reads logits only, so nothing that a layer does to gradients matters; `queries` forward passes a picture, and two to
    begin with. Pictures of one call share the squares' places and colours, as in ART. ART draws from NumPy's global
    random state, which is seeded from `generator` and put back afterwards: not for several threads at a time. Raises
    ValueError if ART is not installed.
    """
    _check(model, images, labels, eps, queries)
    attacks, estimators = art_modules()
    answer = _remembering(model, images)
    classes = answer(images[:1].cpu().numpy()).shape[1]
    box = estimators.BlackBoxClassifierNeuralNetwork(answer, tuple(images.shape[1:]), classes, clip_values=(0.0, 1.0))

    def margin(pictures: NDArray[np.float32], one_hot: NDArray[np.float32]) -> NDArray[np.float32]:
        logits = answer(pictures)
        return logits[one_hot > 0] - np.where(one_hot > 0, -np.inf, logits).max(1)

    attack = attacks.SquareAttack(
        box, norm=np.inf, loss=margin, max_iter=queries, eps=eps, batch_size=len(images), verbose=False
    )
    before = np.random.get_state()
    np.random.seed(int(torch.randint(2**31, (), generator=generator)))
    try:
        found = attack.generate(images.detach().cpu().numpy().copy(), labels.cpu().numpy())
    finally:
        np.random.set_state(before)
    return _inside(torch.from_numpy(found).to(images), images, eps)


def straight_through(model: Classifier) -> nn.Module:
    """The same logits, but the gradient passes the codec as if it were the identity (BPDA, Athalye et al. 2018)."""
    return _OtherBackward(model, nn.Identity())


def smooth_backward(model: Classifier, hardness: float = 1.0) -> nn.Module:
    """The same logits, but the gradient is that of the codec's tables at this hardness, in all-levels form.

    At hardness 1 the slope is 1 to 0.2 % inside the index limit and 0 beyond it, so unlike `straight_through` it spends
    no budget on what the layer cuts off. A baseline, which has no layer, is only wrapped.
    """
    codec = model.codec
    if not isinstance(codec, JPEGLayer):
        return straight_through(model)
    steps = codec.steps.detach()
    soft = JPEGLayer(steps, hardness / steps.square(), max_index=codec.max_index, quantizer=soft_quantize_all_levels)
    return _OtherBackward(model, soft.to(steps.device).requires_grad_(False))


class Look(NamedTuple):
    """What a white-box attacker sees at N pictures."""

    gradient: Tensor  # of each picture's own loss, (N, 3, H, W)
    losses: Tensor  # (N,), nats
    right: Tensor  # (N,) bool: is the first class the label?


def look(model: nn.Module, images: Tensor, labels: Tensor) -> Look:
    """Gradient with respect to the images, 0 where it is below ZERO, loss and answer; writes nothing to the model."""
    with torch.enable_grad():
        inputs = images.detach().clone().requires_grad_()
        logits = model(inputs)
        losses = cross_entropy(logits, labels, reduction="none")
        (gradient,) = torch.autograd.grad(losses.sum(), inputs)
    return Look(gradient.where(gradient.abs() > ZERO, 0.0), losses.detach(), logits.argmax(1) == labels)


class _OtherBackward(nn.Module):
    """A classifier whose codec has its own value and the gradient of `path`."""

    def __init__(self, classifier: Classifier, path: nn.Module) -> None:
        super().__init__()
        _check_mode(classifier)
        self.classifier, self.path = classifier, path
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        classifier = self.classifier
        seen: Tensor = _Replaced.apply(self.path(images), classifier.codec(images.detach()).detach())
        logits: Tensor = classifier.backbone(classifier.normalize(seen))
        return logits


class _Replaced(Function):
    """Forward: the second argument. Backward: the gradient goes to the first."""

    @staticmethod
    def forward(_ctx: Any, _path: Tensor, value: Tensor) -> Tensor:
        return value.clone()

    @staticmethod
    def backward(_ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient, None


def _inside(examples: Tensor, images: Tensor, eps: float) -> Tensor:
    """Into the box of `eps` around the images, then into [0, 1]."""
    return (images + (examples - images).clamp(-eps, eps)).clamp(0, 1).detach()


def _random_start(images: Tensor, eps: float, generator: torch.Generator) -> Tensor:
    uniform = torch.rand(images.shape, generator=generator, device=generator.device).to(images)
    return _inside(images + eps * (2 * uniform - 1), images, eps)


def _remembering(model: nn.Module, images: Tensor) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    """The model's logits on NumPy pictures; ART asks three times an iteration for pictures that it mostly has asked."""
    known: dict[bytes, NDArray[np.float32]] = {}

    def answer(pictures: NDArray[np.float32]) -> NDArray[np.float32]:
        if len(known) > 64 * len(images):
            known.clear()
        keys = [hashlib.blake2b(picture.tobytes(), digest_size=16).digest() for picture in pictures]
        new = [number for number, key in enumerate(keys) if key not in known]
        if new:
            with torch.no_grad():
                logits = model(torch.from_numpy(pictures[new]).to(images)).float().cpu().numpy()
            known.update(zip((keys[number] for number in new), logits, strict=True))
        return np.stack([known[key] for key in keys])

    return answer


def art_modules() -> tuple[Any, Any]:
    """ART's modules of attacks and of estimators. Raises ValueError if it is not installed."""
    try:
        return import_module("art.attacks.evasion"), import_module("art.estimators.classification")
    except ImportError:
        raise ValueError(f"the Square attack needs {ART}, which is not installed; run `pip install {ART}`") from None


def _check(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    eps: float,
    steps: int = 1,
    step_size: float = 1.0,
    restarts: int = 1,
) -> None:
    _check_mode(model)
    if images.ndim != 4 or not len(images) or labels.shape != (len(images),):
        raise ValueError(
            f"expected images (N, 3, H, W) with labels (N,), got {tuple(images.shape)}, {tuple(labels.shape)}"
        )
    if not images.is_floating_point() or images.min() < 0 or images.max() > 1:
        raise ValueError(f"pictures must be floating point in [0, 1], got {images.dtype}; divide 8-bit values by 255")
    if not (0 <= eps <= 1 and steps >= 1 and step_size > 0 and restarts >= 1):
        raise ValueError(
            f"a budget needs eps in [0, 1] and steps, step size and restarts above 0, "
            f"got eps {eps}, {steps} steps of {step_size}, {restarts} restarts"
        )


def _check_mode(model: nn.Module) -> None:
    if model.training:
        raise ValueError("the model is in training mode, in which looking at a picture changes it; call eval() first")
