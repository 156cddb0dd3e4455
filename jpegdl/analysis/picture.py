"""One picture through both arms: answers, maps and the layer's work, as plain arrays."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from jpegdl.analysis.compression import Compression, compress
from jpegdl.analysis.explain import Array, explain_pair, predict_pair
from jpegdl.pairs.checkpoints import ModelPair
from jpegdl.pairs.classifier import ARMS, Arm
from jpegdl.pairs.prepare import to_unit

Target = int | Literal["shared", "own"]


@dataclass(frozen=True)
class PictureComparison:
    """What the page shows of one picture. NumPy arrays on the CPU, no gradients."""

    square: NDArray[np.uint8]  # (S, S, 3), the crop that both arms were given
    probabilities: Mapping[Arm, Array]  # (classes,), softmax
    targets: Mapping[Arm, int]  # class explained for each arm
    stage: str
    maps: Mapping[Arm, Array]  # (h, w), >= 0, raw units of GradCAM++
    compression: Compression

    @property
    def answers(self) -> dict[Arm, int]:
        """Each arm's first class."""
        return {arm: int(self.probabilities[arm].argmax()) for arm in ARMS}


def compare_picture(pair: ModelPair, square: Tensor, target: Target, *, stage: str) -> PictureComparison:
    """Both arms' answers and GradCAM++ maps for a prepared picture, uint8 (3, S, S).

    `target`: a class index for both arms; "shared", the class with the highest mean probability of the two; or "own",
    each arm's first class, which asks two different questions. Raises ValueError for a size that is not the pair's.
    """
    size = pair.card.input_size
    if tuple(square.shape) != (3, size, size):
        raise ValueError(f"{pair.card.name} takes (3, {size}, {size}), got {tuple(square.shape)}; call prepare first")
    image = to_unit(square)[None]
    probabilities = predict_pair(pair, image)
    targets = choose_targets(probabilities, target)
    explained = {index: explain_pair(pair, image, index, stage=stage).maps for index in sorted(set(targets.values()))}
    return PictureComparison(
        square=square.permute(1, 2, 0).numpy(),
        probabilities=probabilities,
        targets=targets,
        stage=stage,
        maps={arm: explained[targets[arm]][arm] for arm in ARMS},
        compression=compress(pair, image),
    )


def choose_targets(probabilities: Mapping[Arm, Array], target: Target) -> dict[Arm, int]:
    """The class to explain for each arm; ties of "shared" go to the lower index."""
    if target == "own":
        return {arm: int(probabilities[arm].argmax()) for arm in ARMS}
    if target == "shared":
        return dict.fromkeys(ARMS, int((probabilities["baseline"] + probabilities["jpegdl"]).argmax()))
    return dict.fromkeys(ARMS, target)
