"""Numbers as plain words and short texts, the same on the page and in docs/results.md."""

from collections.abc import Sequence

_FINEST = 10**6  # cases; what is rarer is called so
_ROUGH = 0.12  # largest relative error of a count that is rounded to a whole number


def chance_text(p: float) -> str:
    """A p value as how often chance alone would make at least such a difference: 'in 3 of 10,000 cases'."""
    if p == 1:
        return "always"
    if p * _FINEST < 1:
        return f"in fewer than 1 of {_FINEST:,} cases"
    cases = 100
    while cases < _FINEST and not (0 < round(p * cases) < cases and _error(p * cases) <= _ROUGH):
        cases *= 10
    return f"in {round(p * cases)} of {cases:,} cases"


def plain(value: float, digits: int, *, sign: bool = False) -> str:
    """With a typographic minus; with `sign` a plus too; zero has none."""
    text = f"{value:{'+' if sign else ''}.{digits}f}".replace("-", "−")
    return text if text.strip("+−0.") else text.lstrip("+−")


def signed(points: float) -> str:
    """Percentage points with their sign: +1.2, −0.3, 0.0."""
    return plain(points, 1, sign=True)


def part_text(layer: str, own: float, whole: float) -> str:
    """What part of a difference a control makes, both in points: 'The index limit alone: +4.1 of +6.5 points'."""
    part = own * whole > 0 and abs(own) <= abs(whole)
    numbers = f"{signed(own)} of {signed(whole)} points" if part else f"{signed(own)} points, not {signed(whole)}"
    return f"{layer[:1].upper()}{layer[1:]}: {numbers}"


def standing(limits: Sequence[str], seeds: int) -> str:
    """What kind of test a run is: 'full test; one seed', or what keeps it from one: 'other data; one seed'."""
    return "; ".join([*(limits or ["full test"]), *(["one seed"] if seeds == 1 else [])])


def _error(count: float) -> float:
    return abs(round(count) - count) / count
