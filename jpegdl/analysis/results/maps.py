"""The study of maps of a card as text: do they lie on the object (paper figure 6), and do the networks need it?"""

import math
from collections.abc import Iterator, Mapping

from jpegdl.analysis.results.findings import MapNumber, Maps
from jpegdl.analysis.results.map_numbers import LEAST, SIZES, Estimate, MapTable, both
from jpegdl.analysis.results.markdown import NOTHING, table
from jpegdl.analysis.results.words import plain
from jpegdl.pairs.classifier import ARMS
from jpegdl.pairs.measured import Measured

KINDS: Mapping[str, str] = {"true": "of the true class", "own": "of its own answer"}
BLIND: Mapping[str, str] = {"random": "noise", "centre": "a bump in the middle", "edges": "the picture's edges"}
MEASURES: Mapping[str, str] = {  # in percent, but contrast and the areas
    "share": "share of the map in the box",
    "pointing": "highest cell in the box",
    "contrast": "contrast",
    "deletion": "deletion",
    "insertion": "insertion",
}
_PERCENT = ("share", "pointing")
_PLACE = ("share", "pointing", "contrast")


def maps_section(measured: Measured) -> str:
    """Markdown: what was asked, a table for each stage, one for what the networks need, one by size of the object."""
    maps = MapTable(measured)
    last = maps.stages[-1]
    curves = [name for name in maps.measures(last) if name not in _PLACE]
    return (
        "Do the maps lie on the object (paper figure 6)? GradCAM++ of both networks on "
        f"{len(maps.areas)} test pictures with boxes, beside maps that no network made"
        f"{_outside(maps)}. An even map has {100 * maps.areas.mean():.1f} % of itself in the box. In brackets "
        "95 % bootstrap intervals over pictures; differences are JPEG-DL minus baseline on the same pictures. Contrast "
        "is (inside − outside) / (inside + outside) of the map's means.\n\n"
        + "".join(_places(maps, stage) for stage in maps.stages)
        + (_curves(maps, last, curves) if curves else "")
        + _sizes(maps, last)
        + f"{answer(maps)[1]}\n\n"
    )


def answer(maps: MapTable) -> tuple[int, str]:
    """Direction (1: JPEG-DL's maps lie more on the object, -1: less, 0: neither shown) and the numbers behind it.

    Of the true class at the last stage; what an earlier one says otherwise stands behind it. A direction needs the
    interval of the share's difference on one side of 0 and no other measure of place clearly on the other side.
    """
    stage = maps.stages[-1]
    direction, listed = _place(maps, stage)
    n = maps.difference("share", stage, *both("true")).n
    middle = maps.difference("share", stage, "jpegdl true", "centre")
    blind = {1: "more", -1: "less", 0: "neither more nor less"}[middle.direction]
    said = {1: "more", -1: "less", 0: "not clearly more or less"}
    sentence = (
        f"Maps of the true class at {stage}: JPEG-DL's lie {said[direction]} on the object than the baseline's "
        f"({listed}; n = {n}), and {blind} than a bump in the middle of the picture."
    )
    for earlier in maps.stages[-2::-1]:
        there, numbers = _place(maps, earlier)
        if there != direction:
            sentence += f" At {earlier}: {said[there]} ({numbers})."
    return direction, sentence


def _place(maps: MapTable, stage: str) -> tuple[int, str]:
    """Direction of JPEG-DL's maps of the true class against the baseline's at a stage, and the numbers."""
    differences = {name: maps.difference(name, stage, *both("true")) for name in _PLACE}
    share = differences["share"].direction
    direction = share if -share not in {found.direction for found in differences.values()} else 0
    units = {name: " points" if name in _PERCENT else "" for name in differences}
    return direction, ", ".join(
        f"{MEASURES[n]} {_shown(n, found, sign=True)}{units[n]}" for n, found in differences.items()
    )


def maps_findings(measured: Measured) -> Maps:
    """The same numbers as data."""
    maps = MapTable(measured)
    direction, sentence = answer(maps)
    return Maps(
        pictures=len(maps.areas),
        outside=maps.outside,
        chance=100 * float(maps.areas.mean()),
        numbers=tuple(_numbers(maps)),
        direction=direction,
        sentence=sentence,
    )


def _numbers(maps: MapTable) -> Iterator[MapNumber]:
    for stage in maps.stages:
        for measure in maps.measures(stage):
            whose = maps.whose(measure, stage)
            for kind, meaning in {**KINDS, **BLIND}.items():
                sizes = ["", *SIZES] if measure == "share" else [""]
                yield from (_number(maps, measure, stage, kind, meaning, size, kind in whose) for size in sizes)


def _number(maps: MapTable, measure: str, stage: str, kind: str, meaning: str, size: str, blind: bool) -> MapNumber:
    """`blind`: a map that is the same for both networks."""
    of_all = size or None
    sides: tuple[float | None, float | None] = (None, None)
    if blind:
        found = maps.mean(measure, stage, kind, of_all)
    else:
        found = maps.difference(measure, stage, *both(kind), of_all)
        baseline, jpegdl = (maps.mean(measure, stage, f"{arm} {kind}", of_all).mean for arm in ARMS)
        sides = (_scaled(measure, baseline), _scaled(measure, jpegdl))
    return MapNumber(
        measure=measure,
        meaning=MEASURES[measure],
        stage=stage,
        of=meaning,
        size=size,
        n=found.n,
        baseline=sides[0],
        jpegdl=sides[1],
        value=_scaled(measure, found.mean),
        low=_scaled(measure, found.low),
        high=_scaled(measure, found.high),
    )


def _scaled(measure: str, value: float) -> float | None:
    if math.isnan(value):
        return None
    return 100 * value if measure in _PERCENT else value


def _places(maps: MapTable, stage: str) -> str:
    rows = []
    for kind, meaning in KINDS.items():
        for arm, name in (("baseline", "baseline"), ("jpegdl", "JPEG-DL")):
            rows.append([f"{name}, {meaning}", *(_cell(maps, m, stage, f"{arm} {kind}") for m in _PLACE)])
        found = (_shown(m, maps.difference(m, stage, *both(kind)), sign=True) for m in _PLACE)
        rows.append([f"difference, {meaning}", *found])
    rows += [[meaning, *(_cell(maps, m, stage, name) for m in _PLACE)] for name, meaning in BLIND.items()]
    return f"{stage}:\n\n" + table(["map", *(MEASURES[m] for m in _PLACE)], rows)


def _curves(maps: MapTable, stage: str, curves: list[str]) -> str:
    rows = []
    for kind, meaning in {**KINDS, **BLIND}.items():
        row = [meaning if kind in BLIND else f"its own map, {meaning}"]
        for curve in curves:
            row += [_cell(maps, curve, stage, f"{arm} {kind}") for arm in ("baseline", "jpegdl")]
            row.append(_shown(curve, maps.difference(curve, stage, *both(kind)), sign=True))
        rows.append(row)
    header = [f"{MEASURES[curve]}, {side}" for curve in curves for side in ("baseline", "JPEG-DL", "difference")]
    n = maps.mean(curves[0], stage, "baseline true").n
    return (
        f"Do the networks need what the maps mark? Area under the probability of the explained class at {stage}, over "
        f"{maps.settings['steps']} steps, n = {n}: deletion (marked cells first; small speaks for the map) and "
        "insertion (into a blurred picture; large does). A less certain network has smaller areas of both, so compare "
        "each network's map with the blind ones in its own column.\n\n" + table(["map", *header], rows)
    )


def _sizes(maps: MapTable, stage: str) -> str:
    rows = []
    for size in SIZES:
        means = [maps.mean("share", stage, f"{arm} true", size) for arm in ("baseline", "jpegdl")]
        difference = maps.difference("share", stage, *both("true"), size)
        row = [size, str(means[0].n), *(_shown("share", found) for found in means)]
        rows.append([*row, _shown("share", difference, sign=True), _cell(maps, "share", stage, "centre", size)])
    header = ["box, of the square", "n", "baseline", "JPEG-DL", "difference", BLIND["centre"]]
    return f"Share in the box by its size, maps of the true class at {stage}:\n\n" + table(header, rows)


def _cell(maps: MapTable, measure: str, stage: str, of: str, size: str | None = None) -> str:
    return _shown(measure, maps.mean(measure, stage, of, size))


def _shown(measure: str, found: Estimate, *, sign: bool = False) -> str:
    if found.n < LEAST:
        return NOTHING
    scale, unit, digits = (100, "" if sign else " %", 1) if measure in _PERCENT else (1, "", 3)
    mean, low, high = (plain(scale * x, digits, sign=sign) for x in (found.mean, found.low, found.high))
    return f"{mean}{unit} [{low}, {high}]"


def _outside(maps: MapTable) -> str:
    return f" ({maps.outside} more have their object outside the square that the networks see)" if maps.outside else ""
