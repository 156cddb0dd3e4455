"""What can be trained, as data: the fields. The rows are in training/catalogue.py. Standard library only."""

import math
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

Start = Literal["scratch", "imagenet"]
Augmentation = Literal["resized crop", "shifted crop", "strong"]
Optimizer = Literal["sgd", "adamw"]
TableOptimizer = Literal["adam", "sgd", "none"]
InitialTables = Literal["inverse sensitivity", "mean absolute", "standard", "standard at quality 90", "ones"]
Place = Literal["input", "first relu"]
SIZES = 8, 1024  # pixels along a side of what a network may see: the least and the most


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides a pair besides the seed. Raises ValueError for settings that cannot be trained.

    The same recipe trains both arms; the layer's settings, from `place` on, concern the JPEG-DL arm alone.
    """

    name: str
    dataset: str
    architecture: str
    start: Start = "scratch"  # of both arms: random weights, or ImageNet's
    input_size: int  # pixels, square
    augmentation: Augmentation = "resized crop"
    epochs: int
    batch_size: int
    optimizer: Optimizer = "sgd"  # of the network
    learning_rate: float
    milestones: tuple[int, ...] = ()  # the learning rate falls tenfold after these epochs
    cosine: bool = False  # instead of milestones: along half a cosine, to (nearly) 0 at the end
    warmup_epochs: int = 0  # the learning rate rises linearly from 0
    momentum: float = 0.9  # SGD
    weight_decay: float  # network only
    label_smoothing: float = 0.0

    place: Place = "input"  # of the layer
    quantizer: str = "five levels"  # key of codec.variants.QUANTIZERS
    rounds: int = 1
    bits: int | None = 8  # indices -(2**(bits - 1) - 1) .. 2**(bits - 1) - 1; None: no limit
    alpha: float | None = 5.0  # constant softness, 1 / grey level^2; None where hardness is constant
    hardness: float | None = None  # constant alpha * step^2: alpha follows the steps
    initial_tables: InitialTables = "inverse sensitivity"
    max_initial_step: float = 10.0  # the luma step at the least sensitive frequency (q_max)
    zero_dc: bool = False  # the DC coefficients are held at 0
    table_optimizer: TableOptimizer = "adam"
    table_learning_rate: float  # constant with Adam; with SGD it falls as the network's does

    def __post_init__(self) -> None:
        if not all(0 < milestone < self.epochs for milestone in self.milestones):
            raise ValueError(f"{self.name}: milestones {self.milestones} must lie inside 1..{self.epochs - 1}")
        if list(self.milestones) != sorted(set(self.milestones)):
            raise ValueError(f"{self.name}: milestones {self.milestones} must rise; no two may be equal")
        if not 0 <= self.warmup_epochs < max(self.epochs, 1):
            raise ValueError(f"{self.name}: warmup_epochs {self.warmup_epochs} must lie inside 0..{self.epochs - 1}")
        if self.cosine and self.milestones:
            raise ValueError(f"{self.name}: milestones {self.milestones} and a cosine exclude each other; choose one")
        if (self.alpha is None) == (self.hardness is None):
            raise ValueError(
                f"{self.name}: alpha or hardness must be given, and not both; got {self.alpha} and {self.hardness}"
            )
        if not SIZES[0] <= self.input_size <= SIZES[1]:
            raise ValueError(f"{self.name}: input_size must be {SIZES[0]}..{SIZES[1]} pixels, got {self.input_size}")
        positive = ("epochs", "batch_size", "learning_rate", "table_learning_rate", "rounds")
        for field in (*positive, "alpha" if self.hardness is None else "hardness"):
            if getattr(self, field) <= 0:
                raise ValueError(f"{self.name}: {field} must be positive, got {getattr(self, field)}")
        if self.bits is not None and self.bits < 3:
            raise ValueError(f"{self.name}: bits must be at least 3 (five levels), got {self.bits}")

    @property
    def max_index(self) -> int | None:
        return None if self.bits is None else 2 ** (self.bits - 1) - 1

    def learning_rate_at(self, time: float) -> float:
        """Learning rate of the network at `time`, in epochs from the start of training, 0 <= time < epochs."""
        return self.learning_rate * self._share_at(time)

    def table_learning_rate_at(self, time: float) -> float:
        """Learning rate of the tables at `time`, as above."""
        return self.table_learning_rate * (self._share_at(time) if self.table_optimizer == "sgd" else 1.0)

    def _share_at(self, time: float) -> float:
        if time < self.warmup_epochs:
            return time / self.warmup_epochs
        if self.cosine:
            return (1 + math.cos(math.pi * (time - self.warmup_epochs) / (self.epochs - self.warmup_epochs))) / 2
        return float(0.1 ** sum(time >= milestone for milestone in self.milestones))


def with_epochs(recipe: Recipe, epochs: int) -> Recipe:
    """The recipe with another number of epochs: milestones and warm-up at (nearly) the same share of them.

    Milestones stay apart and inside, all of them if there is room. A warm-up keeps one epoch, if there are two.
    """
    room = max(epochs - 1, 0)
    milestones = [round(milestone * epochs / recipe.epochs) for milestone in recipe.milestones][:room]
    for place, milestone in enumerate(milestones):
        milestones[place] = max(milestone, 1 + (milestones[place - 1] if place else 0))
    for back, milestone in enumerate(reversed(milestones)):
        milestones[-1 - back] = min(milestone, epochs - 1 - back)
    warmup = min(max(round(recipe.warmup_epochs * epochs / recipe.epochs), 1), room) if recipe.warmup_epochs else 0
    return replace(recipe, epochs=epochs, milestones=tuple(milestones), warmup_epochs=warmup)


def shared_settings(recipe: Recipe) -> dict[str, Any]:
    """The settings that both arms share, and that alone decide the baseline: those before `place`, without the name."""
    names = [field.name for field in fields(recipe)]
    return {name: getattr(recipe, name) for name in names[1 : names.index("place")]}
