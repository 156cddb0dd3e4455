"""What the learned layer does to one picture: reconstruction, error, zeroed and limited coefficients."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from jpegdl.analysis.figures import display_picture
from jpegdl.codec.dct import pad_to_blocks
from jpegdl.codec.layer import JPEGLayer
from jpegdl.codec.planes import analysis
from jpegdl.codec.quantizer import Quantizer, soft_quantize, soft_quantize_all_levels
from jpegdl.codec.roundtrip import roundtrip
from jpegdl.pairs.checkpoints import ModelPair

QuantizerName = Literal["five levels", "all levels"]
QUANTIZERS: Mapping[QuantizerName, Quantizer] = {
    "five levels": soft_quantize,
    "all levels": soft_quantize_all_levels,
}


@dataclass(frozen=True)
class Compression:
    """The JPEG-DL arm's view of one picture. Arrays are NumPy; shares are 0..1."""

    reconstruction: NDArray[np.uint8]  # (S, S, 3), what the backbone is given, cut off at black and white, rounded
    moved: float  # mean absolute change of a value, from the unclamped reconstruction, 1.0 = white
    psnr: float  # dB against the picture, peak 1.0, from the unclamped reconstruction; inf when equal
    zeroed: float  # share of coefficients whose nearest level is 0
    limited: float  # share of coefficients beyond the index limit (their value is cut off)
    outside: float  # share of reconstruction values outside [0, 1], cut off for display only
    five_or_all: float  # mean absolute difference of the reconstructions by five and by all levels, 1.0 = white


@torch.no_grad()
def compress(codec: JPEGLayer, image: Tensor, quantizer: QuantizerName) -> tuple[Compression, Tensor]:
    """Run a layer with this quantizer on one picture (1, 3, S, S) in [0, 1].

    Returns what the first round did to it, and the reconstruction (1, 3, S, S), which the network is given.
    """
    made = {
        name: roundtrip(image, codec.steps, codec.alpha, max_index=codec.max_index, quantizer=formula)
        for name, formula in QUANTIZERS.items()
    }
    reconstruction = made[quantizer]
    indices = (analysis(pad_to_blocks(image)) / codec.steps[0][[0, 1, 1]].view(3, -1, 1)).round_().abs_()
    work = Compression(
        reconstruction=np.asarray(display_picture(reconstruction[0].cpu().numpy())),
        moved=(reconstruction - image).abs().mean().item(),
        psnr=psnr(image, reconstruction),
        zeroed=_share(indices == 0),
        limited=0.0 if codec.max_index is None else _share(indices > codec.max_index),
        outside=_share((reconstruction < 0) | (reconstruction > 1)),
        five_or_all=(made["five levels"] - made["all levels"]).abs().mean().item(),
    )
    return work, reconstruction


def _share(of: Tensor) -> float:
    """The share of true values. NumPy counts them eight times as fast."""
    return np.count_nonzero(of.numpy(force=True)) / of.numel()


def psnr(first: Tensor, second: Tensor) -> float:
    """Peak signal-to-noise ratio in dB of two pictures of equal shape, peak 1.0; inf when they are equal."""
    error = (first - second).square().mean(dtype=torch.float64).item()
    return float("inf") if error == 0 else -10 * float(np.log10(error))


def table_hardness(pair: ModelPair) -> NDArray[np.float32]:
    """alpha * step^2 of the first round's tables, (2, 8, 8): luma, chroma; dimensionless."""
    return pair.alphas[0] * pair.tables[0] ** 2
