"""What the maps of many pictures say together: means with bootstrap intervals, differences on the same pictures."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from jpegdl.pairs.measured import Measured

NUMBER = "number"  # of each picture in the test part
AREA = "area"  # of each picture's box, share of the square: what an even map scores
DRAWS, SEED = 2000, 0  # of the bootstrap
LEAST = 10  # pictures: an interval from fewer says nothing
SIZES: Mapping[str, tuple[float, float]] = {  # of the box, share of the square: above, up to
    "under an eighth": (0, 1 / 8),
    "up to a half": (1 / 8, 1 / 2),
    "over a half": (1 / 2, 1),
}

Values = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean over pictures and its 95 % bootstrap interval; nan where fewer than LEAST pictures have a number."""

    mean: float
    low: float
    high: float
    n: int

    @property
    def direction(self) -> int:
        """1 or -1 where the interval lies on one side of 0."""
        return int(self.low > 0) - int(self.high < 0)


class MapTable:
    """A card's study of maps by columns, without the pictures whose object lies outside of what the networks see."""

    def __init__(self, measured: Measured) -> None:
        columns = {name: numbers.array() for name, numbers in measured.arrays.items()}
        self.settings = measured.settings
        self.numbers, self.areas = columns.pop(NUMBER), columns.pop(AREA)
        seen = self.areas > 0
        self.outside = int((~seen).sum())  # pictures whose object lies outside
        self.areas = self.areas[seen]
        self.columns = {name: values[seen] if len(values) == len(seen) else values for name, values in columns.items()}
        self.stages = list(dict.fromkeys(name.split("/")[1] for name in columns))

    def measures(self, stage: str) -> list[str]:
        return list(dict.fromkeys(name.split("/")[0] for name in self.columns if name.split("/")[1] == stage))

    def whose(self, measure: str, stage: str) -> list[str]:
        """Whose maps have this measure, in the order of the study."""
        return [name.split("/")[2] for name in self.columns if name.startswith(f"{measure}/{stage}/")]

    def values(self, measure: str, stage: str, of: str, size: str | None = None) -> Values:
        """One number a picture, nan where it has none; `size`: a key of SIZES."""
        values = self.columns[f"{measure}/{stage}/{of}"]
        if size is None:
            return values
        above, up_to = SIZES[size]
        return np.where((above < self.areas) & (self.areas <= up_to), values, np.nan).astype(np.float32)

    def mean(self, measure: str, stage: str, of: str, size: str | None = None) -> Estimate:
        return estimate(self.values(measure, stage, of, size))

    def difference(self, measure: str, stage: str, of: str, minus: str, size: str | None = None) -> Estimate:
        """Of the same pictures."""
        return estimate(self.values(measure, stage, of, size) - self.values(measure, stage, minus, size))

    def below(self, measure: str, stage: str, of: str, value: float) -> float:
        """Share of the pictures whose number is smaller: where one picture stands among all."""
        values = self.values(measure, stage, of)
        return float((values[~np.isnan(values)] < value).mean())


def estimate(values: Values) -> Estimate:
    """Pictures are drawn again and again, always the same ones for a number of pictures."""
    known = ~np.isnan(values)
    n = int(known.sum())
    if n < LEAST:
        return Estimate(mean=float("nan"), low=float("nan"), high=float("nan"), n=n)
    means = _draws(n) @ values[known].astype(np.float64)
    low, high = np.quantile(means, (0.025, 0.975))
    return Estimate(mean=float(values[known].mean(dtype=float)), low=float(low), high=float(high), n=n)


@cache
def _draws(n: int) -> NDArray[np.float64]:
    """(DRAWS, n): how often each picture is in a draw of n with replacement, as a share."""
    return np.random.default_rng(SEED).multinomial(n, np.full(n, 1 / n), DRAWS) / n


def both(kind: str) -> tuple[str, str]:
    """Names of JPEG-DL's and of the baseline's map of a kind, in the order of `difference`."""
    return f"jpegdl {kind}", f"baseline {kind}"
