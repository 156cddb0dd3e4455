"""One plain sentence or two for each row of the page, from this picture's and this pair's numbers. No HTML."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from jpegdl.analysis.figures import mass_normalised
from jpegdl.analysis.request import Answer
from jpegdl.pairs.classifier import ARMS, Arm

NAMES: dict[Arm, str] = {"baseline": "the baseline", "jpegdl": "JPEG-DL"}
UNSURE = 0.05  # a class with less is explained with a warning

_ROWS = ("top", "middle", "bottom")
_COLUMNS = ("left", "centre", "right")
_SAME_AS_ALL = 128.0  # grey levels by which any mean can differ from mid-grey: a wider limit is none


def say_given(answer: Answer, luma: float | None, chroma: float | None) -> str:
    """What the layer made of the picture. `luma`, `chroma`: levels by which a block's mean may differ from mid-grey."""
    average = f"A pixel moves by {_levels(255 * answer.compression.moved)} of 255 levels on average."
    if luma is None or luma >= _SAME_AS_ALL:
        return f"JPEG-DL gets a soft reconstruction: the layer leaves each block’s mean brightness free. {average}"
    return (
        f"JPEG-DL gets a soft reconstruction: each block’s mean brightness stays within {_up(luma):.1f} grey levels of "
        f"mid-grey, so {_consequence(luma, chroma)}. {average}"
    )


def _consequence(luma: float, chroma: float | None) -> str:
    if luma >= 60:
        return "little changes"
    if luma >= 10:
        return "light and shade flatten and detail stays"
    return (
        "the picture turns grey and outlines stay"
        if chroma is not None and chroma < 10
        else ("brightness evens out; colours and outlines stay")
    )


def say_looks(answer: Answer, number: int, names: Sequence[str]) -> str:
    """How far the two maps of a class agree, where they differ most, and how far to trust them."""
    maps = {arm: mass_normalised(answer.map(arm, number)) for arm in ARMS}
    empty = [NAMES[arm] for arm in ARMS if not maps[arm].any()]
    name = names[number]
    if empty:
        whose = "Both maps are" if len(empty) == 2 else f"The map of {empty[0]} is"
        said = f"{whose} empty: at this stage nothing speaks for {name}."
    else:
        agreed = np.minimum(maps["baseline"], maps["jpegdl"]).sum()
        row, column = np.unravel_index(np.abs(maps["jpegdl"] - maps["baseline"]).argmax(), maps["baseline"].shape)
        shares = {arm: _percent(maps[arm][row, column]) for arm in ARMS}
        said = f"The maps for {name} agree to {100 * agreed:.0f}\u00a0%." + (
            f" They differ most {place(int(row), int(column), maps['baseline'])}: {shares['baseline']} of the "
            f"baseline’s attention, {shares['jpegdl']} of JPEG-DL’s."
            if agreed < 0.995
            else ""
        )
    return " ".join([said, *_unsure(answer, number, name)])


def _unsure(answer: Answer, number: int, name: str) -> list[str]:
    shares = {NAMES[arm]: float(answer.probabilities[arm][number]) for arm in ARMS}
    low = {arm: share for arm, share in shares.items() if share < UNSURE}
    if not low:
        return []
    if len(low) == 2:
        given = " and ".join(_percent(share) for share in low.values())
        return [f"Both give {name} little ({given}): read the maps with care."]
    ((arm, share),) = low.items()
    return [f"{arm[0].upper()}{arm[1:]} gives {name} only {_percent(share)}: read its map with care."]


def place(row: int, column: int, map: NDArray[np.float64]) -> str:
    """Where a cell of a map lies, in words: 'at the bottom right'."""
    vertical = _ROWS[int((row + 0.5) / map.shape[0] * 3)]
    horizontal = _COLUMNS[int((column + 0.5) / map.shape[1] * 3)]
    if (vertical, horizontal) == ("middle", "centre"):
        return "in the middle"
    words = [word for word in (vertical, horizontal) if word not in ("middle", "centre")]
    return f"at the {' '.join(words)}"


def say_says(answer: Answer, names: Sequence[str]) -> str:
    """What both answer. Who is right says the browser, where a visitor chooses the true class."""
    firsts = answer.firsts
    shares = {arm: float(answer.probabilities[arm][firsts[arm]]) for arm in ARMS}
    if firsts["baseline"] == firsts["jpegdl"]:
        return f"Both say {names[firsts['baseline']]}; JPEG-DL is {_surer(shares['jpegdl'] - shares['baseline'])}."
    return (
        f"They disagree: the baseline says {names[firsts['baseline']]} ({_percent(shares['baseline'])}), "
        f"JPEG-DL says {names[firsts['jpegdl']]} ({_percent(shares['jpegdl'])})."
    )


def _surer(difference: float) -> str:
    points = f"{100 * abs(difference):.1f}"
    return "as sure" if points == "0.0" else f"{'more' if difference > 0 else 'less'} sure by {points} points"


def _percent(share: float) -> str:
    return "under 0.1\u00a0%" if 0 < share < 0.0005 else f"{100 * share:.1f}\u00a0%"


def _up(limit: float) -> float:
    """To a tenth, never below the limit, so that "within" stays true."""
    return math.ceil(10 * limit - 1e-6) / 10


def _levels(levels: float) -> str:
    return f"{levels:.0f}" if levels >= 9.5 else f"{levels:.1f}"
