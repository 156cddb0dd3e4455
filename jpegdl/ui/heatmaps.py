"""8x8 tables as coloured cells, and the legends of their colours: what the template of the Tables screen draws."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from jpegdl.analysis.figures import colour_at, gradient_css

_BLACK_OVER_WHITE = 0.179  # relative luminance above which black text has more contrast than white text
_LEAST, _MOST_FACTOR = 1e-3, 100.0  # ends of the colour scales; a step or two may lie far beyond


@dataclass(frozen=True, kw_only=True)
class Scale:
    """From value to colour; values beyond the ends get the end's colour. A log scale needs a minimum > 0."""

    minimum: float
    maximum: float
    log: bool = True
    colours: str = "heat"

    def position(self, value: float) -> float:
        """0 at the minimum (and wherever both ends are equal), 1 at the maximum."""
        value = min(max(value, self.minimum), self.maximum)
        low, high = self.minimum, self.maximum
        if self.log:
            value, low, high = math.log(value), math.log(low), math.log(high)
        return (value - low) / (high - low) if high > low else 0.0


def short_number(value: float) -> str:
    """A number >= 0 in at most 4 characters: 5e-4, 0.02, 1.3, 3, 12, 127, 1.3k, 325k."""
    if value < 1e-9:
        return "0"
    if value < 0.00995:
        digit, exponent = f"{value:.0e}".split("e")
        return f"{digit}e{int(exponent)}"
    if value < 0.995:
        return f"{value:.2f}"
    for unit in ("", "k", "M", "G"):
        if value < 9.95 and value != round(value):
            return f"{value:.1f}{unit}"
        if value < 999.5:
            return f"{value:.0f}{unit}"
        value /= 1000
    return ">1T"


@dataclass(frozen=True)
class Cell:
    text: str
    label: str
    background: str
    ink: str


@dataclass(frozen=True)
class Heatmap:
    """One table: its title, a remark, and eight rows of eight cells, row = vertical frequency."""

    title: str
    caption: str
    rows: Sequence[Sequence[Cell]]


@dataclass(frozen=True)
class Legend:
    """A colour bar with texts at positions 0..100, ascending, and a sentence below."""

    gradient: str  # CSS
    ticks: Sequence[tuple[float, str]]
    sentence: str


def heatmap(table: ArrayLike, *, title: str, scale: Scale, unit: str, caption: str = "") -> Heatmap:
    """One table (8, 8) of numbers >= 0, coloured by `scale`."""
    values = np.asarray(table, dtype=np.float64)
    if values.shape != (8, 8):
        raise ValueError(f"a table must have shape (8, 8), got {values.shape}")
    rows = [
        [_cell(value, row, column, scale, unit) for column, value in enumerate(line)]
        for row, line in enumerate(values.tolist())
    ]
    return Heatmap(title, caption, rows)


def legend(colours: str, ticks: Sequence[tuple[float, str]], sentence: str) -> Legend:
    return Legend(gradient_css(colours), [(100 * at, text) for at, text in ticks], sentence)


def _cell(value: float, row: int, column: int, scale: Scale, unit: str) -> Cell:
    colour = colour_at(scale.colours, scale.position(value))
    ink = "#000" if _luminance(colour) > _BLACK_OVER_WHITE else "#fff"
    label = f"vertical {row}, horizontal {column}: {value:.6g} {unit}".strip()
    return Cell(short_number(value), label, f"#{bytes(colour).hex()}", ink)


def _luminance(colour: tuple[int, int, int]) -> float:
    """Relative luminance of an sRGB colour 0..255, as WCAG defines it."""
    linear = [(c / 3294.6 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4) for c in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def log_ticks(scale: Scale) -> list[tuple[float, str]]:
    """Both ends, and the powers of ten between them that leave room for the ends' texts."""
    low, high = math.log10(scale.minimum), math.log10(scale.maximum)
    powers = [10.0**power for power in range(math.ceil(low), math.floor(high) + 1)]
    inner = [value for value in powers if 0.14 < scale.position(value) < 0.86]
    inner = inner[:: math.ceil(len(inner) / 6) or 1]
    texts = [(value, f"{value:g}") for value in (scale.minimum, *inner)]
    return [(scale.position(value), text) for value, text in (*texts, (scale.maximum, short_number(scale.maximum)))]


def step_scale(tables: Iterable[ArrayLike]) -> Scale:
    """One scale for all step tables, from a power of ten to 255 or the largest."""
    every = np.concatenate([np.asarray(table, dtype=np.float64).ravel() for table in tables])
    positive = every[every > 0]
    least = max(_LEAST, power_below(float(positive.min()))) if positive.size else _LEAST
    return Scale(minimum=least, maximum=max(255.0, float(every.max())))


def ratio_scale(ratio: NDArray[np.float64]) -> Scale:
    factor = min(_MOST_FACTOR, max(2.0, float(ratio.max()), float(1 / ratio.min())))
    return Scale(minimum=1 / factor, maximum=factor, colours="difference")


def hardness_scale(hardness: NDArray[np.float64]) -> Scale:
    return Scale(minimum=max(_LEAST, power_below(float(hardness.min()))), maximum=float(hardness.max()))


def power_below(value: float) -> float:
    return float(10 ** math.floor(math.log10(value)))
