"""Random pictures of a data set's test part, by seed."""

import random
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from jpegdl.pairs.pictures import read_picture
from jpegdl.training.readers import read_dataset


def make_draw(dataset: str, folder: Path) -> Callable[[int], tuple[Image.Image, str]]:
    """seed -> one test picture, drawn uniformly, and its class. Raises ValueError as `read_dataset` does."""
    found = read_dataset(dataset, folder)

    def draw(seed: int) -> tuple[Image.Image, str]:
        position = random.Random(seed).randrange(len(found.test))
        return read_picture(found.test.pictures[position]).image, found.class_names[found.test.labels[position]]

    return draw
