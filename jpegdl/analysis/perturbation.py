"""Deletion and insertion (Petsiuk et al. 2018): does the network need the cells that a map marks?"""

from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from torch import Tensor

from jpegdl.analysis.saliency import Array, area_under, cell_of_pixel, marked_first
from jpegdl.pairs.classifier import Classifier

Curve = Literal["deletion", "insertion"]
_AT_ONCE = 32  # pictures in a forward pass
_BLUR = 1 / 22  # of the side: deviation of the blur from which insertion begins


class Question(NamedTuple):
    """A map (h, w) and the class whose probability it explains."""

    values: Array
    label: int


def curve_areas(
    network: Classifier,
    square: NDArray[np.uint8],
    questions: Mapping[str, Question],
    *,
    steps: int,
    draw: np.random.Generator,
) -> dict[tuple[Curve, str], float]:
    """Area under the probability of each map's class, 0..1, for a prepared picture, uint8 (S, S, 3).

    deletion: cells become the data's mean colour, the marked ones first, in `steps` equal steps; a small area speaks
    for the map. insertion: cells of a blurred picture become sharp; a large area does. `draw` orders equal cells.
    """
    whole = torch.from_numpy(square).permute(2, 0, 1).float() / 255
    empty: dict[Curve, Tensor] = {"deletion": network.mean[0].cpu().expand_as(whole), "insertion": _blurred(square)}
    pictures = [whole, *empty.values()]
    for question in questions.values():
        marked = _enlarged(marked_first(question.values, steps, draw)[1:-1], len(square))  # (steps - 1, 1, S, S)
        pictures += [*torch.where(marked, empty["deletion"], whole), *torch.where(marked, whole, empty["insertion"])]
    shares = _probabilities(network, torch.stack(pictures))
    (of_whole, of_grey, of_blurred), between = shares[:3], shares[3:].reshape(len(questions), 2, steps - 1, -1)
    areas: dict[tuple[Curve, str], float] = {}
    for (name, question), (deleted, inserted) in zip(questions.items(), between, strict=True):
        label = question.label
        areas["deletion", name] = area_under(np.array([of_whole[label], *deleted[:, label], of_grey[label]]))
        areas["insertion", name] = area_under(np.array([of_blurred[label], *inserted[:, label], of_whole[label]]))
    return areas


def _blurred(square: NDArray[np.uint8]) -> Tensor:
    soft = Image.fromarray(square).filter(ImageFilter.GaussianBlur(_BLUR * len(square)))
    return torch.from_numpy(np.array(soft)).permute(2, 0, 1).float() / 255


def _enlarged(marked: NDArray[np.bool_], side: int) -> Tensor:
    """Cells (n, h, w) -> pixels (n, 1, side, side)."""
    rows, columns = (cell_of_pixel(side, cells) for cells in marked.shape[1:])
    return torch.from_numpy(marked[:, rows][:, :, columns])[:, None]


@torch.inference_mode()
def _probabilities(network: Classifier, images: Tensor) -> NDArray[np.float32]:
    """(N, classes), a few pictures at a time."""
    device = network.mean.device
    rows = [network(part.to(device)).softmax(1).float().cpu() for part in images.split(_AT_ONCE)]
    shares: NDArray[np.float32] = torch.cat(rows).numpy()
    return shares
