"""The facts about a pair, as JSON: recipe, data, history, hashes, counts."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from jpegdl.codec.variants import QUANTIZERS
from jpegdl.pairs.architectures import architecture
from jpegdl.pairs.comparison import Comparison

SCHEMA = 2


@dataclass(frozen=True, kw_only=True)
class PairCard:
    """Everything about a pair but its weights. Raises ValueError for facts that cannot be right."""

    schema: int = SCHEMA
    name: str
    title: str  # one line for people: data set and network
    architecture: str  # as architectures.architecture takes it
    class_names: tuple[str, ...]
    input_size: int  # pixels, square
    short_side: int  # pixels to which a picture's short side is scaled before the centre is cut out
    place: str  # of the layer: "input" or "first relu"
    quantizer: str  # of the layer in tests, key of codec.variants.QUANTIZERS
    max_index: int | None  # its index limit
    rounds: int
    recipe: Mapping[str, Any]  # every field of the recipe as trained
    paper_recipe: Mapping[str, Any]  # fields in which the run departed from the named recipe: {field: paper's value}
    seed: int
    dataset: Mapping[str, Any]  # title, source, licence, split, counts of pictures
    initial_tables: list[Any]  # (rounds, 2, 8, 8), grey levels
    history: Mapping[str, list[dict[str, Any]]]  # arm -> epochs
    results: Mapping[str, Comparison]  # test set -> counts, measured with the stored weights
    other_seeds: Sequence[Mapping[str, Any]]  # runs whose weights are not stored: seed, results, steps, seconds
    grid: Mapping[str, Any]  # every input to both networks (analysis.grid), or nothing
    robustness: Sequence[Mapping[str, Any]]  # attacks with their checks (analysis.attacks), or nothing
    weights: Mapping[str, Mapping[str, Any]]  # arm -> file, sha256, bytes
    training: Mapping[str, Any]  # device, threads, seconds of each arm, versions, commit

    def __post_init__(self) -> None:
        if self.schema != SCHEMA:
            raise ValueError(f"schema {self.schema!r} is not {SCHEMA}; use the version that wrote the card")
        architecture(self.architecture)
        if len(self.class_names) < 2 or not all(isinstance(name, str) for name in self.class_names):
            raise ValueError("class_names must be at least two texts")
        if not isinstance(self.input_size, int) or not 8 <= self.input_size <= 1024:
            raise ValueError(f"input_size must be 8..1024 pixels, got {self.input_size!r}")
        if not isinstance(self.short_side, int) or not self.input_size <= self.short_side <= 2048:
            raise ValueError(f"short_side must be input_size..2048 pixels, got {self.short_side!r}")
        if self.place not in ("input", "first relu") or self.quantizer not in QUANTIZERS:
            raise ValueError(f"unknown place {self.place!r} or quantizer {self.quantizer!r}")
        if not isinstance(self.rounds, int) or not 1 <= self.rounds <= 16:
            raise ValueError(f"rounds must be 1..16, got {self.rounds!r}")
        if self.max_index is not None and (not isinstance(self.max_index, int) or self.max_index < 2):
            raise ValueError(f"max_index must be at least 2 or nothing, got {self.max_index!r}")
        if not isinstance(self.weights, Mapping) or not all(isinstance(f, Mapping) for f in self.weights.values()):
            raise ValueError("weights must hold the facts of each arm's file")


def without_weights(card: PairCard) -> PairCard:
    """The card of a run whose weights are not kept: no files, and of the tables' history only the last ones."""
    history = {
        arm: [epoch | {"steps": epoch["steps"] if epoch is epochs[-1] else None} for epoch in epochs]
        for arm, epochs in card.history.items()
    }
    return replace(card, weights={}, history=history)


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
