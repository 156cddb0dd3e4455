"""The cards: JSON facts about a pair, or about one arm that is waiting for the other."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, TypeVar

from jpegdl.codec.variants import IN_TESTS, QUANTIZERS
from jpegdl.pairs.architectures import architecture
from jpegdl.pairs.classifier import Arm
from jpegdl.pairs.comparison import Comparison
from jpegdl.pairs.facts import (
    DatasetFacts,
    Epoch,
    OtherSeed,
    Part,
    Tables,
    TrainingFacts,
    WeightsFile,
    check_tables,
)
from jpegdl.pairs.measured import Grid, Measured, Proof, RobustAccuracy
from jpegdl.pairs.reading import read
from jpegdl.pairs.recipe import Place, Recipe

SCHEMA = 3
_OTHER_SCHEMA = "use the version of this code that wrote it, or train again"


@dataclass(frozen=True, kw_only=True)
class Card:
    """What the card of a pair and that of an arm have in common. Raises ValueError for facts that cannot be right."""

    schema: int = SCHEMA
    name: str
    title: str  # one line for people: data set and network
    class_names: tuple[str, ...]
    short_side: int  # pixels to which a picture's short side is scaled before the centre is cut out
    recipe: Recipe  # as trained
    paper_recipe: Recipe  # the recipe of this name, from which the run may have departed
    seed: int
    dataset: DatasetFacts
    flaws: tuple[str, ...] = ()  # what was found wrong with the training later, a sentence each

    def __post_init__(self) -> None:
        if self.schema != SCHEMA:
            raise ValueError(f"it has schema {self.schema!r} and this version reads {SCHEMA}; {_OTHER_SCHEMA}")
        architecture(self.architecture)
        if len(self.class_names) < 2:
            raise ValueError(f"class_names must hold at least two texts, got {len(self.class_names)}")
        if not self.input_size <= self.short_side <= 2048:
            raise ValueError(f"short_side must be input_size..2048 pixels, got {self.short_side}")
        if self.recipe.quantizer not in {*QUANTIZERS, *IN_TESTS}:
            raise ValueError(f"recipe.quantizer must be one of {', '.join(QUANTIZERS)}, got {self.recipe.quantizer!r}")
        if self.recipe.name != self.paper_recipe.name:
            raise ValueError(f"recipe and paper_recipe have two names, {self.recipe.name} and {self.paper_recipe.name}")

    @property
    def architecture(self) -> str:
        """As architectures.architecture takes it."""
        return self.recipe.architecture

    @property
    def input_size(self) -> int:
        """Pixels, square."""
        return self.recipe.input_size

    @property
    def place(self) -> Place:
        """Of the layer."""
        return self.recipe.place

    @property
    def quantizer(self) -> str:
        """Of the layer in tests, key of codec.variants.QUANTIZERS."""
        return IN_TESTS.get(self.recipe.quantizer, self.recipe.quantizer)

    @property
    def max_index(self) -> int | None:
        return self.recipe.max_index

    @property
    def rounds(self) -> int:
        return self.recipe.rounds

    @property
    def departures(self) -> Mapping[str, Any]:
        """Fields in which the run departed from the recipe of its name -> that recipe's value."""
        named = ((field.name, getattr(self.paper_recipe, field.name)) for field in fields(Recipe))
        return {name: value for name, value in named if value != getattr(self.recipe, name)}

    def check_history(self, epochs: tuple[Epoch, ...], arm: Arm) -> None:
        if [epoch.number for epoch in epochs] != list(range(1, self.recipe.epochs + 1)):
            raise ValueError(f"history of {arm} must hold the epochs 1..{self.recipe.epochs}, one after the other")
        for epoch in epochs:
            self.check_steps(epoch.steps, f"history of {arm}: steps of epoch {epoch.number}")

    def check_steps(self, steps: Tables | None, what: str) -> None:
        if steps is not None:
            check_tables(steps, (self.rounds, 2, 8, 8), what)

    def check_initial_tables(self, tables: Tables) -> None:
        inside = self.place != "input"
        check_tables(tables, (1, None, 8, 8) if inside else (self.rounds, 2, 8, 8), "initial_tables")


@dataclass(frozen=True, kw_only=True)
class PairCard(Card):
    """Everything about a pair but its weights."""

    initial_tables: Tables  # of the JPEG-DL arm, grey levels
    history: Mapping[Arm, tuple[Epoch, ...]]
    training: Mapping[Arm, TrainingFacts]
    results: Mapping[Part, Comparison]  # measured with the stored weights
    other_seeds: tuple[OtherSeed, ...] = ()  # runs whose weights are not stored
    grid: Grid | None = None  # every input to both networks, once measured
    robustness: tuple[RobustAccuracy, ...] = ()  # attacks with their checks, as far as measured
    maps: Measured | None = None  # do the maps lie on the object? numbers a picture, once measured
    proof: Proof | None = None  # answers by which loaded weights are recognised
    weights: Mapping[Arm, WeightsFile] | None = None  # None where they are not kept

    @property
    def seeds(self) -> tuple[int, ...]:
        """Of all runs, the one first whose weights are stored."""
        return (self.seed, *(other.seed for other in self.other_seeds))

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_initial_tables(self.initial_tables)
        for arm, epochs in self.history.items():
            self.check_history(epochs, arm)
        for other in self.other_seeds:
            self.check_steps(other.steps, f"steps of seed {other.seed}")
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds must differ, got {list(self.seeds)}")
        if self.proof and any(
            answer.class_index >= len(self.class_names) for found in self.proof.answers.values() for answer in found
        ):
            raise ValueError("proof names a class that class_names does not hold")


@dataclass(frozen=True, kw_only=True)
class ArmCard(Card):
    """Everything about one trained arm but its weights: enough to train the other one, or a control, elsewhere."""

    arm: Arm
    initial_tables: Tables | None  # None for a baseline
    history: tuple[Epoch, ...]
    training: TrainingFacts
    weights: WeightsFile | None = None  # None until they are written

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_history(self.history, self.arm)
        if (self.initial_tables is None) != (self.arm == "baseline"):
            raise ValueError("initial_tables must be given for the JPEG-DL arm, and only for it")
        if self.initial_tables is not None:
            self.check_initial_tables(self.initial_tables)


AnyCard = TypeVar("AnyCard", bound=Card)


def without_weights(card: PairCard) -> PairCard:
    """The card of a run whose weights are not kept: no files, no proof, of the tables' history only the last ones."""
    history = {
        arm: (*(replace(epoch, steps=None) for epoch in epochs[:-1]), epochs[-1])
        for arm, epochs in card.history.items()
    }
    return replace(card, weights=None, proof=None, history=history)


def card_to_json(card: Card) -> str:
    """The card as JSON, one field a line. Raises ValueError for a card that could not be read again."""
    lines = (f"{json.dumps(name)}: {json.dumps(value, allow_nan=False)}" for name, value in asdict(card).items())
    text = "{\n" + ",\n".join(lines) + "\n}\n"
    _from_json(type(card), text)
    return text


def card_from_json(text: str) -> PairCard:
    """Inverse of `card_to_json`. Raises ValueError for other JSON, another schema, or anything wrong in any field."""
    return _from_json(PairCard, text)


def arm_card_from_json(text: str) -> ArmCard:
    """The same for the card of one arm."""
    return _from_json(ArmCard, text)


def _from_json(cls: type[AnyCard], text: str) -> AnyCard:
    try:
        facts = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"it is not JSON (line {error.lineno})") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it is not JSON of any card ({error})") from None
    if not isinstance(facts, dict):
        raise ValueError("it is JSON, but holds no object")
    if facts.get("schema") != SCHEMA:
        raise ValueError(f"it has schema {facts.get('schema')!r} and this version reads {SCHEMA}; {_OTHER_SCHEMA}")
    card: AnyCard = read(cls, facts)
    return card
