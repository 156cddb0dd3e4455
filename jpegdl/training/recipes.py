"""What can be trained, as data. Standard library only."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

InitialTables = Literal["inverse_sensitivity", "ones"]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides a pair besides the seed. Raises ValueError for settings that cannot be trained.

    The same recipe trains both arms; the table settings concern the JPEG-DL arm alone.
    """

    name: str
    dataset: str
    architecture: str
    input_size: int  # pixels, square
    epochs: int
    batch_size: int
    learning_rate: float  # SGD, network
    milestones: tuple[int, ...]  # the learning rate falls tenfold after these epochs
    momentum: float
    weight_decay: float  # network only
    table_learning_rate: float  # Adam, tables only, constant
    alpha: float  # softness, 1 / grey level^2
    bits: int  # indices -(2**(bits - 1) - 1) .. 2**(bits - 1) - 1
    initial_tables: InitialTables
    max_initial_step: float  # the luma step at the least sensitive frequency (q_max)
    rounds: int = 1

    def __post_init__(self) -> None:
        if not all(0 < milestone < self.epochs for milestone in self.milestones):
            raise ValueError(f"{self.name}: milestones {self.milestones} must lie inside 1..{self.epochs - 1}")
        positive = ("input_size", "epochs", "batch_size", "learning_rate", "table_learning_rate", "alpha", "rounds")
        for field in positive:
            if getattr(self, field) <= 0:
                raise ValueError(f"{self.name}: {field} must be positive, got {getattr(self, field)}")
        if self.bits < 3:
            raise ValueError(f"{self.name}: bits must be at least 3 (five levels), got {self.bits}")

    @property
    def max_index(self) -> int:
        return 2 ** (self.bits - 1) - 1

    def learning_rate_at(self, epoch: int) -> float:
        """Learning rate of the network in `epoch`, counted from 1."""
        return self.learning_rate * 0.1 ** sum(epoch > milestone for milestone in self.milestones)


RECIPES: Mapping[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        # Paper section 4 and appendix A.3, A.4: fine-grained data, from scratch.
        Recipe(
            name="flowers17-resnet18",
            dataset="flowers17",
            architecture="resnet18",
            input_size=224,
            epochs=200,
            batch_size=32,
            learning_rate=0.1,
            milestones=(100, 150),
            momentum=0.9,
            weight_decay=1e-4,
            table_learning_rate=0.005,
            alpha=5.0,
            bits=8,
            initial_tables="inverse_sensitivity",
            max_initial_step=10.0,
        ),
    )
}
