"""Small pictures, networks and pairs that tests share, as plain functions."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from jpegdl.codec.layer import JPEGLayer
from jpegdl.pairs.architectures import ARCHITECTURES, Architecture
from jpegdl.pairs.card import PairCard
from jpegdl.pairs.checkpoints import ModelPair, load_pair, save_pair
from jpegdl.pairs.classifier import ARMS, build_classifier
from jpegdl.pairs.comparison import Comparison
from jpegdl.pairs.facts import PARTS, DatasetFacts, Epoch, Pictures, Tables, TrainingFacts, tables_of
from jpegdl.pairs.recipe import Recipe

TINY = "tiny"


def tiny_network(num_classes: int) -> nn.Module:
    """Two small convolutions with batch normalisation, one linear layer: every kind of tensor of a real backbone."""
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, stride=2, padding=1),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.Conv2d(6, 8, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, num_classes),
    )


def add_tiny(monkeypatch: Any) -> None:
    """Let ARCHITECTURES know `tiny` until the test is over."""
    entry = Architecture(build=tiny_network, stages={"early": "1", "last": "4"})
    monkeypatch.setitem(ARCHITECTURES, TINY, entry)


def tables(rounds: int = 1) -> Tensor:
    """(rounds, 2, 8, 8) steps 1..16, no two alike."""
    return torch.linspace(1, 16, rounds * 128).view(rounds, 2, 8, 8)


def recipe(**facts: Any) -> Recipe:
    """One epoch of the tiny network on 16 px."""
    known: dict[str, Any] = {
        "name": "none",
        "dataset": "generated",
        "architecture": TINY,
        "input_size": 16,
        "epochs": 1,
        "batch_size": 4,
        "learning_rate": 0.1,
        "weight_decay": 0.0,
        "table_learning_rate": 0.01,
    }
    return Recipe(**(known | facts))


def history(epochs: int, *, loss: float = 1.0, steps: Tables | None = None) -> tuple[Epoch, ...]:
    facts = {"loss": loss, "train_accuracy": 0.5, "validation_accuracy": 0.5, "seconds": 1.0}
    return tuple(Epoch(number=n, precision="float32", steps=steps, **facts) for n in range(1, epochs + 1))


def dataset_facts(**facts: Any) -> DatasetFacts:
    pictures = Pictures(train=20, validation=5, test=12)
    texts = dict.fromkeys(("name", "title", "source", "licence", "split"), "generated")
    return DatasetFacts(**({"pictures": pictures} | texts | facts))


def training_facts(**facts: Any) -> TrainingFacts:
    known: dict[str, Any] = {
        "device": "CPU",
        "processes": 1,
        "threads": 1,
        "seconds": 60,
        "versions": {"torch": "2"},
        "commit": "",
    }
    return TrainingFacts(**(known | facts))


def card(architecture: str = TINY, classes: int = 5, rounds: int = 1, **facts: Any) -> PairCard:
    """`facts`: of the card, or of its recipe if only that one has such a field."""
    both = ("name", "dataset", "initial_tables")  # mean the card's
    of_recipe = {field.name for field in fields(Recipe)} - set(both)
    settings = {name: facts.pop(name) for name in list(facts) if name in of_recipe}
    made = facts.get("recipe") or recipe(architecture=architecture, rounds=rounds, **settings)
    counts = Comparison(both=3, only_baseline=1, only_jpegdl=2, neither=4)
    known: dict[str, Any] = {
        "name": "pair",
        "title": "generated pictures",
        "class_names": tuple(f"class {number}" for number in range(classes)),
        "short_side": made.input_size + 2,
        "recipe": made,
        "paper_recipe": made,
        "seed": 0,
        "dataset": dataset_facts(),
        "initial_tables": tables_of(tables(made.rounds).tolist()),
        "history": {arm: history(made.epochs) for arm in ARMS},
        "training": {arm: training_facts() for arm in ARMS},
        "results": dict.fromkeys(PARTS, counts),
    }
    return PairCard(**(known | facts))


def write_pair(folder: Path, architecture: str = TINY, classes: int = 5, rounds: int = 1) -> PairCard:
    """Save an untrained pair with batch statistics that are not the initial ones."""
    facts = card(architecture, classes, rounds, name=folder.name)
    baseline = build_classifier(architecture, classes, seed=1)
    jpegdl = build_classifier(architecture, classes, seed=2, codec=JPEGLayer(tables(rounds), 5.0))
    for arm in (baseline, jpegdl):
        arm.train()(noise(8, 16))
    return save_pair(folder, facts, {"baseline": baseline, "jpegdl": jpegdl})


def tiny_pair(folder: Path, architecture: str = TINY, classes: int = 5) -> ModelPair:
    write_pair(folder, architecture, classes)
    return load_pair(folder)


def noise(count: int, side: int, seed: int = 0) -> Tensor:
    """Random pictures (count, 3, side, side) in [0, 1]."""
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(seed))


def noise_bytes(count: int, side: int, seed: int = 0) -> Tensor:
    """Random pictures (count, 3, side, side), uint8."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 3, side, side), generator=generator, dtype=torch.uint8)


def smooth_picture(height: int, width: int) -> Image.Image:
    """Waves in each channel, between about 20 and 235: what a photograph's coefficients look like."""
    rows, columns = np.mgrid[0:height, 0:width]
    waves = [128 + 60 * np.sin(rows / (5 + k) + k) + 45 * np.cos(columns / (3 + k) - rows / 9) for k in range(3)]
    return Image.fromarray(np.stack(waves, axis=-1).round().astype(np.uint8))


def to_tensor(picture: Image.Image) -> Tensor:
    """RGB picture -> (1, 3, H, W) float32 in [0, 1]."""
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].float() / 255


def colour_of(number: int) -> tuple[int, int, int]:
    """A colour that tells pictures of up to 125 classes apart, also after JPEG."""
    return 25 + 50 * (number % 5), 25 + 50 * (number // 5 % 5), 25 + 50 * (number // 25 % 5)


def number_of(picture: Image.Image) -> int:
    """Inverse of `colour_of` for a picture of one colour."""
    red, green, blue = (int(value) // 50 for value in np.asarray(picture).mean((0, 1)))
    return red + 5 * green + 25 * blue


def write_flowers17(folder: Path, side: int) -> None:
    """17 folders of 80 JPEG files, each class in its own mean colour; noise, since a network cannot learn from none."""
    draw = np.random.default_rng(0)
    for number in range(17):
        inner = folder / f"{number:02}.flower{16 - number:02}"
        inner.mkdir(parents=True)
        for index in range(80):
            pixels = np.array(colour_of(number)) + draw.integers(-20, 21, (side, side, 3))
            Image.fromarray(pixels.astype(np.uint8)).save(inner / f"image_{index:04}.jpg", quality=95)
