"""Examples that a network may have seen are found in its data, however they are framed; other photographs are not."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from benchmarks import known_pictures
from benchmarks.known_pictures import ALIKE, nearest_pictures
from jpegdl.training.data import Dataset, Examples
from tests.conftest import EXAMPLES
from tests.running import CHECKPOINTS

PAIR = CHECKPOINTS / "pets-efficientnet_lite0-mean_absolute"


def other_photographs() -> list[Image.Image]:
    """Of birds, none of which the pair of cats and dogs is offered with."""
    names = ("cardinal", "american-crow", "gray-catbird", "purple-finch", "laysan-albatross", "eastern-towhee")
    return [Image.open(EXAMPLES / f"{name}.jpg").convert("RGB") for name in names]


def pretend(monkeypatch: pytest.MonkeyPatch, pictures: list[Image.Image]) -> None:
    """Let the data set of any name be these, the last of them its test part."""
    arrays = tuple(np.asarray(picture) for picture in pictures)
    parts = {"train": arrays[:-2], "validation": arrays[-2:-1], "test": arrays[-1:]}
    dataset = Dataset(
        title="", source="", licence="", split="", class_names=("one",),
        **{name: Examples(part, (0,) * len(part)) for name, part in parts.items()},
    )  # fmt: skip
    monkeypatch.setattr(known_pictures, "dataset_of", lambda card, folder: dataset)


def framed(picture: Image.Image, way: str) -> Image.Image:
    width, height = picture.size
    match way:
        case "smaller":
            return picture.resize((200, 180))
        case "mirrored":
            return ImageOps.mirror(picture)
        case "less of it":
            return picture.crop((width // 8, height // 10, width * 15 // 16, height))
        case _:
            return ImageOps.expand(picture, border=(width // 6, height // 8, width // 20, 0), fill=(90, 120, 80))


@pytest.mark.parametrize("way", ["smaller", "mirrored", "less of it", "more around it"])
def test_an_example_is_found_in_the_data_as_it_may_have_been_framed_there(monkeypatch, way):
    siamese = Image.open(EXAMPLES / "siamese.jpg").convert("RGB")
    pretend(monkeypatch, [*other_photographs(), framed(siamese, way)])
    found = nearest_pictures(PAIR, Path())
    assert (found[0].example, found[0].part, found[0].index) == ("picked:siamese", "test", 0)
    assert found[0].likeness >= ALIKE > found[1].likeness


@pytest.mark.parametrize("is_there", [False, True])
def test_the_command_fails_if_an_example_may_be_in_the_data(monkeypatch, capsys, is_there):
    beagle = Image.open(EXAMPLES / "beagle.jpg").convert("RGB")
    pretend(monkeypatch, [*other_photographs(), *[beagle] * is_there])
    monkeypatch.setattr(sys, "argv", ["known_pictures", str(PAIR), "--data", "."])
    assert known_pictures.main() == is_there
    assert capsys.readouterr().out.splitlines()[-1].startswith(f"{int(is_there)} of ")
