"""The choices that a visitor has: pictures to start with, classes and stages to explain."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jpegdl.analysis.compression import QuantizerName
from jpegdl.analysis.request import Target
from jpegdl.pairs.architectures import architecture
from jpegdl.pairs.card import PairCard
from jpegdl.pairs.checkpoints import ModelPair

ASSETS = Path(__file__).parents[2] / "assets"
EXAMPLES = json.loads((ASSETS / "examples.json").read_text())

SHARED = "Both: most probable on average"
TRUE = "Both: the true class"
OWN = "Each its own first class"
UNKNOWN = "not known"

AS_TRAINED = "Five levels, as trained"
FORMULA = "All levels, the paper's formula"
QUANTIZER_NAMES: Mapping[str, QuantizerName] = {AS_TRAINED: "five levels", FORMULA: "all levels"}


def best_illustrated_first(pairs: Mapping[str, ModelPair]) -> dict[str, ModelPair]:
    """The pairs by how many example pictures show one of their classes, then by name: the first is what opens."""

    def order(item: tuple[str, ModelPair]) -> tuple[int, str]:
        name, pair = item
        return -sum(entry["class"] in pair.card.class_names for entry in EXAMPLES), name

    return dict(sorted(pairs.items(), key=order))


def target_choices(class_names: tuple[str, ...]) -> list[str]:
    return [SHARED, TRUE, OWN, *class_names]


def read_target(choice: str, true_class: int | None, class_names: tuple[str, ...]) -> Target:
    """What to explain, from the menu's text. Raises ValueError for a text that is not in the menu."""
    if choice == SHARED or (choice == TRUE and true_class is None):
        return "shared"
    if choice == OWN:
        return "own"
    if choice == TRUE and true_class is not None:
        return true_class
    if choice in class_names:
        return class_names.index(choice)
    raise ValueError(f"unknown class to explain: {choice!r}; choose one of the menu")


def read_true_class(choice: str | None, class_names: tuple[str, ...]) -> int | None:
    """The true class from the menu's text, None if it is not known. Raises ValueError as `read_target` does."""
    if choice is None or choice in ("", UNKNOWN):
        return None
    if choice in class_names:
        return class_names.index(choice)
    raise ValueError(f"unknown true class: {choice!r}; choose one of the menu")


def read_quantizer(choice: str) -> QuantizerName:
    """The quantizer from the menu's text. Raises ValueError for another text."""
    if choice not in QUANTIZER_NAMES:
        raise ValueError(f"unknown quantizer: {choice!r}; choose one of the menu")
    return QUANTIZER_NAMES[choice]


def true_class_menu(card: PairCard) -> dict[str, Any]:
    return {"choices": [UNKNOWN, *card.class_names], "value": UNKNOWN, "allow_custom_value": True}


def target_menu(card: PairCard) -> dict[str, Any]:
    return {"choices": target_choices(card.class_names), "value": SHARED, "allow_custom_value": True}


def stage_menu(card: PairCard) -> dict[str, Any]:
    facts = architecture(card.architecture)
    return {"choices": list(facts.stages), "value": facts.default_stage}
