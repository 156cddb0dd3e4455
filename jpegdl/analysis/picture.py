"""An answer as the first page took it apart: one class an arm."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from jpegdl.analysis.compression import Compression, QuantizerName
from jpegdl.analysis.request import Request, Target, answer
from jpegdl.pairs.checkpoints import ModelPair
from jpegdl.pairs.classifier import ARMS, Arm


@dataclass(frozen=True)
class PairExplanation:
    """What both arms make of one picture, for one class each."""

    stage: str
    probabilities: Mapping[Arm, NDArray[np.float32]]
    targets: Mapping[Arm, int]
    maps: Mapping[Arm, NDArray[np.float32]]  # (h, w)

    @property
    def answers(self) -> dict[Arm, int]:
        return {arm: int(self.probabilities[arm].argmax()) for arm in ARMS}


@dataclass(frozen=True)
class PictureComparison:
    square: NDArray[np.uint8]
    explanation: PairExplanation
    compression: Compression


def compare_picture(
    pair: ModelPair, square: Tensor, target: Target, *, stage: str, quantizer: QuantizerName = "five levels"
) -> PictureComparison:
    """Both arms' answers and GradCAM++ maps for a prepared picture, uint8 (3, S, S)."""
    pixels = square.permute(1, 2, 0).contiguous().numpy()
    name = pair.card.name
    found = answer({name: pair}, Request(pair=name, square=pixels, target=target, stage=stage, quantizer=quantizer))
    maps = {arm: found.map(arm, found.targets[arm]) for arm in ARMS}
    explained = PairExplanation(found.stage, found.probabilities, found.targets, maps)
    return PictureComparison(found.square, explained, found.compression)
