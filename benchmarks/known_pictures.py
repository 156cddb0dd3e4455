"""Whether a network may have seen an example: `python -m benchmarks.known_pictures PAIR --data DIR`.

Each example that the page offers with the pair is compared with all pictures of the pair's data set, by the correlation
of the differences between neighbours in grey miniatures. Both are taken whole and as crops down to half, the example
mirrored, too, so that the same photograph is found if it was framed otherwise. Prints the most similar picture for each
example, and fails if one is so much alike that somebody must look: among 60,000 pictures of 32 pixels, others come as
close.
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from benchmarks.second_evaluation import opened
from jpegdl.pairs.card import PairCard, card_from_json
from jpegdl.pairs.checkpoints import CARD
from jpegdl.training.settings import dataset_of
from jpegdl.ui.trays import ASSETS, offered

SIDE = 24  # cells of a miniature
ALIKE = 0.75  # other photographs of a bird in the same pose came to 0.72, the same one framed otherwise to 0.76
WHOLE = 96  # pixels of the square that crops are taken from
CROPS = (88, 80, 72, 62, 52)  # pixels; each at nine places
AT_ONCE = 256  # pictures


@dataclass(frozen=True)
class Nearest:
    """The data set's picture most like an example: its part, its place in it, and how alike they are, at most 1."""

    example: str
    part: str
    index: int
    likeness: float


def differences(picture: Image.Image) -> NDArray[np.float32]:
    """(46, D): differences between neighbours, across and down, of a miniature; of unit length; whole, and of crops."""
    small = picture.convert("L").resize((WHOLE, WHOLE), Image.Resampling.BOX)
    corners = [
        (part, x * (WHOLE - part) // 2, y * (WHOLE - part) // 2) for part in CROPS for x in range(3) for y in range(3)
    ]
    views = [small, *(small.crop((left, top, left + part, top + part)) for part, left, top in corners)]
    cells = np.array([view.resize((SIDE, SIDE), Image.Resampling.BOX) for view in views], dtype=np.float32)
    flat = np.concatenate([np.diff(cells, axis=axis).reshape(len(views), -1) for axis in (1, 2)], axis=1)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    return np.divide(flat, length, out=flat, where=length > 0)


def views(card: PairCard) -> dict[str, list[Image.Image]]:
    """Key of an example -> it as it lies in assets and as it is cropped, and both mirrored."""
    found = {}
    for key, example in offered(card).items():
        with Image.open(ASSETS / "examples" / example.file) as opened_file:
            both = [opened_file.copy(), example.image()]
        found[key] = [*both, *map(ImageOps.mirror, both)]
    return found


def nearest_pictures(folder: Path, data: Path) -> list[Nearest]:
    """For each example of the pair in `folder` the nearest picture of its data set in the folder `data`."""
    card = card_from_json((folder / CARD).read_text(encoding="utf-8"))
    dataset = dataset_of(card, data)
    parts = {"train": dataset.train, "validation": dataset.validation, "test": dataset.test}
    places = [(name, index) for name, part in parts.items() for index in range(len(part))]
    pictures = [item for part in parts.values() for item in part.pictures]
    own = {key: np.concatenate([differences(view) for view in seen]) for key, seen in views(card).items()}
    likeness = {key: np.zeros(len(pictures), np.float32) for key in own}
    for start in range(0, len(pictures), AT_ONCE):
        known = np.array([differences(opened(item)) for item in pictures[start : start + AT_ONCE]])
        for key, hashes in own.items():
            likeness[key][start : start + AT_ONCE] = (known @ hashes.T).max(axis=(1, 2))
    found = []
    for key, values in likeness.items():
        part, index = places[most := int(values.argmax())]
        found.append(Nearest(key, part, index, float(values[most])))
    return sorted(found, key=lambda nearest: -nearest.likeness)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pair", type=Path, help="folder of the pair")
    parser.add_argument("--data", type=Path, required=True, help="folder of its data set")
    arguments = parser.parse_args()
    found = nearest_pictures(arguments.pair, arguments.data)
    for nearest in found:
        print(f"{nearest.likeness:.2f}  {nearest.example}: {nearest.part} picture {nearest.index}")
    alike = [nearest for nearest in found if nearest.likeness >= ALIKE]
    print(f"{len(alike)} of {len(found)} examples may be in the data set.")
    return int(bool(alike))


if __name__ == "__main__":
    sys.exit(main())
