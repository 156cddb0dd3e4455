"""A paired comparison as four counts, and what follows from them."""

from dataclasses import dataclass

from jpegdl.pairs.chances import mcnemar, wilson
from jpegdl.pairs.classifier import Arm


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """How many pictures of one set each arm got right. Raises ValueError for a negative count."""

    both: int
    only_baseline: int
    only_jpegdl: int
    neither: int

    def __post_init__(self) -> None:
        counts = (self.both, self.only_baseline, self.only_jpegdl, self.neither)
        if any(not isinstance(count, int) or count < 0 for count in counts) or not sum(counts):
            raise ValueError(f"counts must be whole numbers >= 0 and not all 0, got {counts}")

    @property
    def n(self) -> int:
        return self.both + self.only_baseline + self.only_jpegdl + self.neither

    def correct(self, arm: Arm) -> int:
        return self.both + (self.only_baseline if arm == "baseline" else self.only_jpegdl)

    def accuracy(self, arm: Arm) -> float:
        """Share of correct answers, 0..1."""
        return self.correct(arm) / self.n

    def interval(self, arm: Arm) -> tuple[float, float]:
        """Wilson's 95 % interval of the accuracy, shares 0..1."""
        return wilson(self.correct(arm), self.n)

    @property
    def p_value(self) -> float:
        """Exact McNemar test, two-sided: are the pictures that only one arm got right split evenly?"""
        return mcnemar(self.only_baseline, self.only_jpegdl)
