"""GradCAM++ of one network (paper figure 6), before any scaling: several classes of a picture, or many pictures."""

import copy
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Array = NDArray[np.float32]


class Explained:
    """A network's logits for one picture, and the maps that explain them; lives as long as its graph is needed.

    The stage is the module at `path`. Nothing before it is recorded, so a map contains no gradient of the codec, and
    the network itself is not touched: what runs is a copy of the modules on the way to the stage, with all weights and
    all other modules shared. So any number of threads may explain the same network.
    """

    def __init__(self, network: nn.Module, path: str, seen: Tensor) -> None:
        self._logits, self._features = _run(network, path, seen)
        self.probabilities: Array = self._logits.detach().softmax(1)[0].float().cpu().numpy()

    def maps(self, classes: Sequence[int]) -> Array:
        """(len(classes), h, w) at the stage's own resolution, >= 0, in the library's raw units."""
        features = self._features.detach().float()
        gradients = self._gradients(classes)
        in_memory = gradients.cpu().numpy()
        if (in_memory == in_memory[..., :1, :1]).all():
            # All cells count the same, as before an average pool: a sum over them is a product.
            weights = features[0, 0].numel() * _weights_of_a_cell(features[0].sum((1, 2)), gradients[..., 0, 0])
        else:
            arrays = features.cpu().numpy(), in_memory
            weights = torch.from_numpy(_library().get_cam_weights(None, None, None, None, *arrays)).to(features.device)
        maps: Array = torch.einsum("nc,chw->nhw", weights, features[0]).clamp(min=0).cpu().numpy()
        return maps

    def _gradients(self, classes: Sequence[int]) -> Tensor:
        """(len(classes), C, h, w): of each class's logit with respect to the features."""
        chosen = torch.eye(self._logits.shape[1], device=self._logits.device)[list(classes), None]
        (rows,) = torch.autograd.grad(self._logits, self._features, chosen, retain_graph=True, is_grads_batched=True)
        return rows[:, 0].float()


class ExplainedBatch:
    """A network's logits for N pictures, and a map of each for one class; otherwise as `Explained`."""

    def __init__(self, network: nn.Module, path: str, seen: Tensor) -> None:
        self._logits, self._features = _run(network, path, seen)
        self.logits = self._logits.detach().float()  # (N, classes)

    def maps(self, classes: Tensor) -> Array:
        """(N, h, w) for the class of each picture (N,); in evaluation mode no picture depends on another."""
        features, chosen = self._features.detach().float(), self._logits.gather(1, classes[:, None]).sum()
        (gradients,) = torch.autograd.grad(chosen, self._features, retain_graph=True)
        weights = _weights_of_a_cell(features.sum((2, 3), keepdim=True), gradients.float()).sum((2, 3))
        maps: Array = torch.einsum("nc,nchw->nhw", weights, features).clamp(min=0).cpu().numpy()
        return maps


def _run(network: nn.Module, path: str, seen: Tensor) -> tuple[Tensor, Tensor]:
    """Logits, and the features at `path` from which their graph begins."""
    stage = _Stage(network.get_submodule(path))
    with torch.enable_grad():
        logits: Tensor = _with_submodule(network, path, stage)(seen)
    return logits, stage.features


class _Stage(nn.Module):
    """The explained module; the graph begins at its output."""

    features: Tensor

    def __init__(self, explained: nn.Module) -> None:
        super().__init__()
        self.explained = explained

    def forward(self, *inputs: Any) -> Tensor:
        with torch.no_grad():
            output: Tensor = self.explained(*inputs)
        self.features = output.requires_grad_()
        return self.features.clone()  # what follows may write into it, and not into a leaf


def _with_submodule(network: nn.Module, path: str, replacement: nn.Module) -> nn.Module:
    """`network` with another module at `path`. The modules on the way are copied, everything else is shared."""
    name, _, rest = path.partition(".")
    changed = copy.copy(network)
    below = _with_submodule(network.get_submodule(name), rest, replacement) if rest else replacement
    changed._modules = {**network._modules, name: below}
    return changed


def _weights_of_a_cell(sums: Tensor, gradients: Tensor) -> Tensor:
    """Equations 19 and 7 of arXiv 1710.11063, from features summed over all cells and gradients of that shape."""
    squares = gradients.square()
    return gradients.clamp(min=0) * squares / (2 * squares + sums * squares * gradients + 1e-6)


@cache
def _library() -> Any:
    """grad-cam, whose arithmetic needs no instance, and so no hook. Importing it takes seconds."""
    from pytorch_grad_cam import GradCAMPlusPlus

    return GradCAMPlusPlus
