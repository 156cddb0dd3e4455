"""8x8 tables as HTML, and the legends of what is coloured. Every text is escaped; styles are in static/page.css."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import ArrayLike

from jpegdl.analysis.figures import colour_at, gradient_css
from jpegdl.codec.jpegfile import STANDARD_TABLES

_BLACK_OVER_WHITE = 0.179  # relative luminance above which black text has more contrast than white text
_EXPLANATION = (
    "Each number is the step with which one frequency is rounded, in grey levels: the larger, the coarser. Rows are "
    "vertical and columns horizontal frequencies, from slow to fast. The standard tables were made for human eyes."
)


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


def table_heatmap(table: ArrayLike, *, title: str, scale: Scale, unit: str, caption: str = "") -> str:
    """One table (8, 8) of numbers >= 0, row = vertical frequency, coloured by `scale`; full values as tooltips."""
    values = np.asarray(table, dtype=np.float64)
    if values.shape != (8, 8):
        raise ValueError(f"a table must have shape (8, 8), got {values.shape}")
    head = "".join(f'<th scope="col" title="horizontal frequency {column}">{column}</th>' for column in range(8))
    rows = "".join(
        f'<tr><th scope="row" title="vertical frequency {row}">{row}</th>'
        + "".join(_cell(value, row, column, scale, unit) for column, value in enumerate(line))
        + "</tr>"
        for row, line in enumerate(values.tolist())
    )
    note = f" <span>{escape(caption)}</span>" if caption else ""
    return (
        f'<table class="jx jx-grid"><caption><b>{escape(title)}</b>{note}</caption>'
        f"<thead><tr><td></td>{head}</tr></thead><tbody>{rows}</tbody></table>"
    )


def _cell(value: float, row: int, column: int, scale: Scale, unit: str) -> str:
    colour = colour_at(scale.colours, scale.position(value))
    ink = "#000" if _luminance(colour) > _BLACK_OVER_WHITE else "#fff"
    label = escape(f"vertical {row}, horizontal {column}: {value:.6g} {unit}".strip())
    style = f"background:#{bytes(colour).hex()};color:{ink}"
    return f'<td style="{style}" title="{label}">{short_number(value)}</td>'


def _luminance(colour: tuple[int, int, int]) -> float:
    """Relative luminance of an sRGB colour 0..255, as WCAG defines it."""
    linear = [(c / 3294.6 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4) for c in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def tables_section(
    *, learned: ArrayLike, initial: ArrayLike, hardness: ArrayLike, upload: Sequence[ArrayLike] | None = None
) -> str:
    """All tables of a pair: steps, their ratio to the start, hardness; each argument (2, 8, 8), luma and chroma.

    `upload`: the tables of the visitor's own .jpg in file order, usually two, each (8, 8). All steps share one scale.
    """
    steps = {
        ("Learned", ""): np.asarray(learned, dtype=np.float64),
        ("Initial", "before training"): np.asarray(initial, dtype=np.float64),
        ("Standard", "JPEG Annex K, quality 50"): STANDARD_TABLES.astype(np.float64),
    }
    if upload is not None and len(upload):
        steps["Your file", "as it was uploaded"] = np.asarray(upload[:2], dtype=np.float64)
    ratio = np.asarray(learned, dtype=np.float64) / np.asarray(initial, dtype=np.float64)
    hard = np.asarray(hardness, dtype=np.float64)

    every = np.concatenate([tables.ravel() for tables in steps.values()])
    step_scale = Scale(
        minimum=max(_LEAST, _power_below(every[every > 0].min())), maximum=max(255.0, float(every.max()))
    )
    factor = min(_MOST_FACTOR, max(2.0, float(ratio.max()), float(1 / ratio.min())))
    ratio_scale = Scale(minimum=1 / factor, maximum=factor, colours="difference")
    hard_scale = Scale(minimum=max(_LEAST, _power_below(hard.min())), maximum=float(hard.max()))

    groups = []
    for index, name in enumerate(("Luma (brightness)", "Chroma (colour)")):
        parts = [
            table_heatmap(tables[index], title=title, caption=caption, scale=step_scale, unit="grey levels")
            for (title, caption), tables in steps.items()
            if index < len(tables)
        ]
        parts.append(table_heatmap(ratio[index], title="Learned / initial", scale=ratio_scale, unit="times"))
        parts.append(table_heatmap(hard[index], title="Hardness", caption="α·q²", scale=hard_scale, unit=""))
        groups.append(f'<section><h3>{name}</h3><div class="jx-grids">{"".join(parts)}</div></section>')
    return (
        f'<div class="jx jx-tables"><p>{_EXPLANATION}</p>{_legends(step_scale, ratio_scale, hard_scale)}'
        f"{''.join(groups)}</div>"
    )


def _legends(steps: Scale, ratio: Scale, hardness: Scale) -> str:
    factor = short_number(ratio.maximum)
    return (
        '<div class="jx-legends">'
        + legend(
            "heat",
            _log_ticks(steps),
            "Steps, in grey levels, one scale for all step tables. Beyond its ends a scale keeps the end’s colour.",
        )
        + legend(
            "difference",
            [(0.0, f"÷ {factor}"), (0.5, "same"), (1.0, f"× {factor}")],
            "Learned / initial: orange became finer in training, purple coarser.",
        )
        + legend(
            "heat",
            _log_ticks(hardness),
            "Hardness α·q²: near 0.7 values pass almost unchanged; from 10, and far below 0.7, they are rounded.",
        )
        + "</div>"
    )


def legend(colours: str, ticks: Sequence[tuple[float, str]], label: str) -> str:
    """A colour bar with texts at positions 0..1, ascending, and one sentence below."""
    texts = "; ".join(text for _, text in ticks)
    marks = "".join(f'<span style="left:{100 * at:.1f}%">{escape(text)}</span>' for at, text in ticks)
    return (
        f'<figure class="jx jx-legend"><div class="jx-colours" role="img" aria-label="Colour scale: {escape(texts)}" '
        f'style="background:{gradient_css(colours)}"></div><div class="jx-ticks" aria-hidden="true">{marks}</div>'
        f"<figcaption>{escape(label)}</figcaption></figure>"
    )


def _power_below(value: float) -> float:
    return float(10 ** math.floor(math.log10(value)))


def _log_ticks(scale: Scale) -> list[tuple[float, str]]:
    """Both ends, and the powers of ten between them that leave room for the ends' texts."""
    low, high = math.log10(scale.minimum), math.log10(scale.maximum)
    powers = [10.0**power for power in range(math.ceil(low), math.floor(high) + 1)]
    inner = [value for value in powers if 0.14 < scale.position(value) < 0.86]
    inner = inner[:: math.ceil(len(inner) / 6) or 1]
    texts = [(value, f"{value:g}") for value in (scale.minimum, *inner)]
    return [(scale.position(value), text) for value, text in (*texts, (scale.maximum, short_number(scale.maximum)))]
