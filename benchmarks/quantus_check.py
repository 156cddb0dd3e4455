"""Are the measures of maps those of Quantus? Prints the greatest differences on random maps, boxes and pictures.

Quantus 0.6.0 does not live with this project's pins, so it gets an environment of its own, which sees these packages:

    python3 -m venv DIR
    DIR/bin/pip install --no-deps quantus==0.6.0 cachetools scikit-image imageio tifffile lazy-loader networkx
    PYTHONPATH=.:$(.venv/bin/python -c "import site; print(site.getsitepackages()[0])") \\
        DIR/bin/python -m benchmarks.quantus_check
"""

import sys
from typing import Any

import numpy as np
import torch
from torch import nn

from jpegdl.analysis.perturbation import Question, curve_areas
from jpegdl.analysis.saliency import Box, points_at, share_inside
from jpegdl.pairs.classifier import Classifier

MAPS, SIDE = 200, 12
TOLERANCE = 1e-5


def main() -> int:
    import quantus

    quiet = {"disable_warnings": True, "display_progressbar": False}
    draw = np.random.default_rng(0)
    maps = draw.random((MAPS, SIDE, SIDE))
    corners = np.sort(np.stack([draw.permuted(np.arange(SIDE + 1))[:4].reshape(2, 2) for _ in range(MAPS)]), axis=2)
    boxes = [Box(left / SIDE, top / SIDE, right / SIDE, bottom / SIDE) for (left, right), (top, bottom) in corners]
    inside = np.zeros((MAPS, 1, SIDE, SIDE))
    for mask, ((left, right), (top, bottom)) in zip(inside[:, 0], corners, strict=True):
        mask[top:bottom, left:right] = 1
    pictures = draw.integers(0, 256, (MAPS, SIDE, SIDE, 3), dtype=np.uint8)
    batch: dict[str, Any] = {
        "x_batch": pictures.transpose(0, 3, 1, 2).astype(np.float32) / 255,
        "y_batch": draw.integers(0, 5, MAPS),
        "a_batch": maps[:, None],
    }
    network = _network()
    found = {
        "share inside": [share_inside(*pair) for pair in zip(maps, boxes, strict=True)],
        "pointing game": [points_at(*pair) for pair in zip(maps, boxes, strict=True)],
        "deletion": [
            curve_areas(network, picture, {"": Question(values, int(label))}, steps=SIDE, draw=draw)["deletion", ""]
            for picture, values, label in zip(pictures, maps, batch["y_batch"], strict=True)
        ],
    }
    flipping = quantus.PixelFlipping(features_in_step=3 * SIDE, perturb_baseline=0.0, **quiet)  # it counts channels
    flipped = np.array(flipping(model=network, device="cpu", **batch))  # from the first step on
    with torch.inference_mode():
        whole = network(torch.from_numpy(batch["x_batch"])).softmax(1).numpy()[np.arange(MAPS), batch["y_batch"]]
    theirs = {
        "share inside": quantus.RelevanceMassAccuracy(**quiet)(model=None, s_batch=inside, **batch),
        "pointing game": quantus.PointingGame(**quiet)(model=None, s_batch=inside, **batch),
        "deletion": np.trapezoid(np.column_stack([whole, flipped]), dx=1 / SIDE, axis=1),
    }
    greatest = {name: float(np.abs(np.array(found[name]) - np.array(theirs[name], float)).max()) for name in found}
    for name, difference in greatest.items():
        print(f"{name}: greatest difference from Quantus {quantus.__version__} over {MAPS} maps: {difference:.1e}")
    return int(max(greatest.values()) > TOLERANCE)


def _network() -> Classifier:
    """Untrained; removed pixels become its mean, which is black, as Quantus has it."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        backbone = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(6 * SIDE**2, 5))
    return Classifier(nn.Identity(), backbone, (0.0, 0.0, 0.0), (0.2, 0.2, 0.2)).eval()


if __name__ == "__main__":
    sys.exit(main())
