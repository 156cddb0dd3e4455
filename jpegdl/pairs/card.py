"""The facts about a pair, as JSON: recipe, data, history, hashes, counts."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from jpegdl.pairs.architectures import ARCHITECTURES
from jpegdl.pairs.comparison import Comparison

SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class PairCard:
    """Everything about a pair but its weights. Raises ValueError for facts that cannot be right."""

    schema: int = SCHEMA
    name: str
    title: str  # one line for people: data set and network
    architecture: str  # key of ARCHITECTURES
    class_names: tuple[str, ...]
    input_size: int  # pixels, square
    max_index: int | None  # index limit of the JPEG-DL arm's quantizer
    rounds: int
    recipe: Mapping[str, Any]  # every field of the recipe as trained
    paper_recipe: Mapping[str, Any]  # fields in which the run departed from the named recipe: {field: paper's value}
    seed: int
    dataset: Mapping[str, Any]  # title, source, licence, split, counts of pictures
    initial_tables: list[Any]  # (rounds, 2, 8, 8), grey levels
    history: Mapping[str, list[dict[str, Any]]]  # arm -> epochs
    results: Mapping[str, Comparison]  # test set -> counts, measured with the stored weights
    weights: Mapping[str, Mapping[str, Any]]  # arm -> file, sha256, bytes
    training: Mapping[str, Any]  # device, threads, seconds of each arm, versions, commit

    def __post_init__(self) -> None:
        if self.schema != SCHEMA:
            raise ValueError(f"schema {self.schema!r} is not {SCHEMA}; use the version that wrote the card")
        if self.architecture not in ARCHITECTURES:
            raise ValueError(f"unknown architecture {self.architecture!r}")
        if len(self.class_names) < 2 or not all(isinstance(name, str) for name in self.class_names):
            raise ValueError("class_names must be at least two texts")
        if not isinstance(self.input_size, int) or not 8 <= self.input_size <= 1024:
            raise ValueError(f"input_size must be 8..1024 pixels, got {self.input_size!r}")
        if not isinstance(self.rounds, int) or not 1 <= self.rounds <= 16:
            raise ValueError(f"rounds must be 1..16, got {self.rounds!r}")
        if self.max_index is not None and (not isinstance(self.max_index, int) or self.max_index < 2):
            raise ValueError(f"max_index must be at least 2 or nothing, got {self.max_index!r}")
        if not isinstance(self.weights, Mapping) or not all(isinstance(f, Mapping) for f in self.weights.values()):
            raise ValueError("weights must hold the facts of each arm's file")


def card_to_json(card: PairCard) -> str:
    """The card as JSON, one field a line. Raises ValueError for numbers that are not finite."""
    lines = (f"{json.dumps(name)}: {json.dumps(value, allow_nan=False)}" for name, value in asdict(card).items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


def card_from_json(text: str) -> PairCard:
    """Inverse of `card_to_json`. Raises ValueError for other JSON, unknown or missing fields, impossible values."""
    try:
        facts = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON (line {error.lineno})") from None
    known = {field.name for field in fields(PairCard)}
    if not isinstance(facts, dict) or set(facts) != known:
        odd = sorted(set(facts) ^ known) if isinstance(facts, dict) else "no object"
        raise ValueError(f"fields differ from those of a card: {odd}")
    try:
        facts["class_names"] = tuple(facts["class_names"])
        facts["results"] = {name: Comparison(**counts) for name, counts in facts["results"].items()}
        return PairCard(**facts)
    except (TypeError, AttributeError) as error:
        raise ValueError(f"a field has the wrong form: {error}") from None
