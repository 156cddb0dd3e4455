"""The pictures of an answer as files with speaking names: what a script, the command line and a report take away."""

import io
from collections.abc import Callable, Mapping

import numpy as np
from PIL import Image

from jpegdl.analysis.figures import (
    Floats,
    difference_picture,
    heat_picture,
    mass_normalised,
    overlay_picture,
)
from jpegdl.analysis.request import Answer
from jpegdl.codec.jpegfile import JPEGFile, encode
from jpegdl.pairs.checkpoints import ModelPair
from jpegdl.pairs.classifier import ARMS

SIDE = 448  # pixels of a drawn map, about: every cell becomes a square of whole pixels

NAMES = (
    "picture.png",
    "reconstruction.png",
    "map-baseline.png",
    "map-jpegdl.png",
    "difference.png",
    "overlay-baseline.png",
    "overlay-jpegdl.png",
    "learned-tables.jpg",
)


def learned_file(pair: ModelPair, answer: Answer) -> JPEGFile:
    """The square picture as a real .jpg with the pair's learned tables, of its first round."""
    return encode(Image.fromarray(answer.square), pair.tables[0])


def panels(answer: Answer, file: JPEGFile) -> dict[str, bytes]:
    """File name -> bytes, in the order of NAMES.

    The picture and the reconstruction (cut off at black and white) pixel by pixel; the maps of the explained class as
    the cells that they are, both on one scale that ends at the larger map's largest share, their difference with its
    largest share in full colour; the papers' overlays; and `file`, the real .jpg.
    """
    square = answer.square.transpose(2, 0, 1) / 255
    raw = {arm: answer.map(arm, answer.targets[arm]) for arm in ARMS}
    maps = {arm: _cells(mass_normalised(raw[arm])) for arm in ARMS}
    side = len(maps["baseline"])
    highest = max(float(maps[arm].max()) for arm in ARMS)
    furthest = float(np.abs(maps["jpegdl"] - maps["baseline"]).max())
    pictures: Mapping[str, Callable[[], Image.Image]] = {
        "picture.png": lambda: Image.fromarray(answer.square),
        "reconstruction.png": lambda: Image.fromarray(answer.reconstruction),
        "map-baseline.png": lambda: heat_picture(maps["baseline"], maximum=highest, size=side),
        "map-jpegdl.png": lambda: heat_picture(maps["jpegdl"], maximum=highest, size=side),
        "difference.png": lambda: difference_picture(maps["baseline"], maps["jpegdl"], limit=furthest, size=side),
        "overlay-baseline.png": lambda: overlay_picture(square, raw["baseline"], size=SIDE),
        "overlay-jpegdl.png": lambda: overlay_picture(square, raw["jpegdl"], size=SIDE),
    }
    return {**{name: _png(draw()) for name, draw in pictures.items()}, "learned-tables.jpg": file.data}


def _cells(map: Floats) -> Floats:
    """Each value as a square of whole pixels; the larger side about SIDE."""
    each = max(1, SIDE // max(map.shape))
    return map.repeat(each, 0).repeat(each, 1)


def _png(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG", compress_level=1)
    return file.getvalue()
