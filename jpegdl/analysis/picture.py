"""One picture through both arms: answers, maps and the layer's work, as plain arrays."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from jpegdl.analysis.compression import QUANTIZERS, Compression, QuantizerName, compress
from jpegdl.analysis.explain import PairExplanation, Target, explain_pair
from jpegdl.pairs.checkpoints import ModelPair
from jpegdl.pairs.prepare import to_unit


@dataclass(frozen=True)
class PictureComparison:
    """What the page shows of one picture. NumPy arrays on the CPU, no gradients."""

    square: NDArray[np.uint8]  # (S, S, 3), the crop that both arms were given
    explanation: PairExplanation
    compression: Compression


def compare_picture(
    pair: ModelPair, square: Tensor, target: Target, *, stage: str, quantizer: QuantizerName = "five levels"
) -> PictureComparison:
    """Both arms' answers and GradCAM++ maps for a prepared picture, uint8 (3, S, S).

    `target` and `stage` as for `explain_pair`; `quantizer`: which formula the JPEG-DL arm runs with (pairs are trained
    with five levels). Raises ValueError for a size that is not the pair's.
    """
    size = pair.card.input_size
    if tuple(square.shape) != (3, size, size):
        raise ValueError(f"{pair.card.name} takes (3, {size}, {size}), got {tuple(square.shape)}; call prepare first")
    image = to_unit(square)[None]
    return PictureComparison(
        square=square.permute(1, 2, 0).numpy(),
        explanation=explain_pair(pair.with_quantizer(QUANTIZERS[quantizer]), image, target, stage=stage),
        compression=compress(pair.codec, image, quantizer)[0],
    )
