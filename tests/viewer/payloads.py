"""What the server sends for one result, generated: pictures, maps and probabilities whose numbers a test knows."""

import base64
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from jpegdl.analysis.figures import colour_list
from tests.tiny import smooth_picture

Payload = dict[str, Any]

CLASSES = ("daffodil", "snowdrop", "lily of the valley", "bluebell", "crocus", "iris", "tulip", "fritillary", "daisy")
SHOWN = (0, 1, 2, 3, 4, 5)  # have maps
FACTS: Payload = {
    "name": "pair",
    "title": "generated pictures",
    "classes": list(CLASSES),
    "stages": ["early", "last"],
    "default_stage": "last",
    "size": 32,
    "test": {"both": 278, "only_baseline": 7, "only_jpegdl": 29, "neither": 26},
    "controls": [],
    "examples": [],
    "picked": [],
}
# The last class is the surest answer of nobody; 3 is given under 5 % by the baseline only, 5 by both.
PROBABILITIES = {
    "baseline": [0.70, 0.12, 0.08, 0.02, 0.06, 0.01, 0.005, 0.003, 0.002],
    "jpegdl": [0.25, 0.10, 0.07, 0.45, 0.08, 0.04, 0.005, 0.003, 0.002],
}


def colours() -> dict[str, list[str]]:
    """The tables that the page sends once."""
    return {name: colour_list(name) for name in ("heat", "difference", "jet")}


def data_url(picture: Image.Image) -> str:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii")


def pictures(size: int, change: float) -> tuple[Image.Image, Image.Image]:
    """A picture and a reconstruction that differs from it by at most about `change` levels."""
    given = smooth_picture(size, size)
    levels = np.asarray(given, dtype=float)
    waves = np.sin(np.arange(size * size * 3).reshape(levels.shape) / 7)
    return given, Image.fromarray((levels + change * waves).clip(0, 255).round().astype(np.uint8))


def maps(rows: int, columns: int, seed: int) -> list[list[float]]:
    """A map of each shown class, >= 0, as the networks' own numbers come: with any sum."""
    generator = np.random.default_rng(seed)
    found: NDArray[np.float64] = generator.gamma(1.0, 3.0, (len(SHOWN), rows * columns)).round(4)
    return found.tolist()


def payload(*, size: int = 32, rows: int = 4, columns: int = 4, change: float = 20, number: int = 1) -> Payload:
    given, reconstruction = pictures(size, change)
    return {
        "number": number,
        "state": {"pair": "pair", "picture": "example:one", "true": 0, "stage": "last", "quantizer": "five levels"},
        "size": size,
        "crop": {"width": size, "height": size, "left": 0, "top": 0, "side": size},
        "pictures": {"given": data_url(given), "reconstruction": data_url(reconstruction), "relative": False},
        "probabilities": PROBABILITIES,
        "answers": {"baseline": 0, "jpegdl": 3},
        "maps": {
            "stage": "last",
            "rows": rows,
            "columns": columns,
            "classes": list(SHOWN),
            "baseline": maps(rows, columns, seed=1),
            "jpegdl": maps(rows, columns, seed=2),
        },
        "target": 0,
        "layer": {},
        "sentences": {
            "given": "JPEG-DL gets a soft reconstruction: the picture turns grey and outlines stay.",
            "looks": {str(index): f"The maps for {CLASSES[index]} agree to {70 + index} %." for index in SHOWN},
            "says": "They disagree: the baseline says daffodil, JPEG-DL says bluebell.",
        },
        "warnings": [],
    }
