"""The pictures that everybody is offered: a tray that is the same for every pair, and before it one picked for each."""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from PIL import Image

from jpegdl.pairs.card import PairCard

ASSETS = Path(__file__).parents[2] / "assets"
_THUMB, _LARGE = 128, 384  # pixels of the longer side: in a tray, and above it


@dataclass(frozen=True)
class Example:
    """A picture of the fixed tray, or the part `box` (left, top, right, bottom) of it picked for one pair."""

    name: str
    file: str
    caption: str
    classes: tuple[str, ...]  # what it shows, by whatever names classes have
    pair: str | None = None
    box: tuple[int, int, int, int] | None = None

    @property
    def key(self) -> str:
        return f"{'example' if self.pair is None else 'picked'}:{self.name}"

    def image(self) -> Image.Image:
        with Image.open(ASSETS / "examples" / self.file) as opened:
            return opened.crop(self.box) if self.box else opened.copy()

    def true(self, classes: tuple[str, ...]) -> int | None:
        """Index of the class that it shows, among a pair's."""
        return next((index for index, name in enumerate(classes) if name in self.classes), None)


@cache
def examples() -> tuple[Example, ...]:
    """All of assets/examples.json, picked ones first."""
    entries = json.loads((ASSETS / "examples.json").read_text(encoding="utf-8"))
    picked = [
        Example(entry["name"], entry["file"], entry["caption"], (entry["class"],), entry["pair"], tuple(entry["box"]))
        for entry in entries["picked"]
    ]
    fixed = [Example(e["name"], e["file"], e["caption"], tuple(e["classes"])) for e in entries["fixed"]]
    return (*picked, *fixed)


def offered(card: PairCard) -> dict[str, Example]:
    """By key: what the page offers with a pair, picked ones first."""
    return {example.key: example for example in examples() if example.pair in (None, card.name)}


def best_shown_first(cards: Mapping[str, PairCard]) -> list[str]:
    """Names of the pairs in the order in which pictures are picked for them; the first is what opens. Others follow."""
    order = list(dict.fromkeys(example.pair for example in examples() if example.pair))
    return sorted(
        cards, key=lambda name: (order.index(pair) if (pair := cards[name].name) in order else len(order), name)
    )


def tray_facts(card: PairCard, addresses: Mapping[str, str]) -> dict[str, list[dict[str, Any]]]:
    """Both trays of a pair for the browser; `addresses`: where the files of `tray_files` are served."""
    trays: dict[str, list[dict[str, Any]]] = {"picked": [], "examples": []}
    for key, example in offered(card).items():
        true = example.true(card.class_names)
        trays["picked" if example.pair else "examples"].append(
            {
                "key": key,
                "caption": example.caption,
                "true": true,
                "thumb": addresses[file_name(example, _THUMB)],
                "large": addresses[file_name(example, _LARGE)],
            }
        )
    return trays


def tray_files(cards: Mapping[str, PairCard]) -> dict[str, bytes]:
    """Small copies of all pictures that are offered with one of these pairs, by file name."""
    wanted = {example for card in cards.values() for example in offered(card).values()}
    return {file_name(example, size): data for example in wanted for size, data in _small(example).items()}


def file_name(example: Example, size: int) -> str:
    return f"trays/{examples().index(example)}-{size}.jpg"


@cache
def _small(example: Example) -> dict[int, bytes]:
    """Both copies by size. JPEG, because all of them are made while the server starts: WebP takes twice as long."""
    picture, copies = example.image(), {}
    for size in (_LARGE, _THUMB):
        picture.thumbnail((size, size), Image.Resampling.BILINEAR)
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=82)
        copies[size] = file.getvalue()
    return copies
