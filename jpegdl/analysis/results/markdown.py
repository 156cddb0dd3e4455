"""Numbers and tables as Markdown text, the same way everywhere on the results page."""

from collections.abc import Iterable, Sequence

from jpegdl.analysis.results.runs import Effect, mean_and_deviation
from jpegdl.analysis.results.words import signed
from jpegdl.pairs.classifier import Arm
from jpegdl.pairs.comparison import Comparison

NOTHING = "–"


def format_p(p: float) -> str:
    return f"{p:.3f}" if p >= 0.001 else f"{p:.1e}"


def share(counts: Comparison, arm: Arm) -> str:
    """Accuracy in percent with Wilson's 95 % interval."""
    low, high = counts.interval(arm)
    return f"{100 * counts.accuracy(arm):.1f} % [{100 * low:.1f}, {100 * high:.1f}]"


def effect_text(effect: Effect) -> str:
    """Points and p of each seed; with several seeds also mean, standard deviation and the t test."""
    p_values = ", ".join(map(format_p, effect.p_values))
    if len(effect.points) == 1:
        return f"{signed(effect.points[0])} points, p = {p_values}"
    mean, deviation = mean_and_deviation(effect.points)
    over_seeds = "" if effect.seeds_p is None else f", p over seeds = {format_p(effect.seeds_p)}"
    each = ", ".join(map(signed, effect.points))
    return (
        f"{signed(mean)} ± {deviation:.1f} points over {len(effect.points)} seeds ({each}; p = {p_values}){over_seeds}"
    )


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table that ends with an empty line; bars inside cells are escaped."""
    cells = [[cell.replace("|", "\\|") for cell in row] for row in (header, *rows)]
    lines = [f"| {' | '.join(row)} |" for row in cells]
    return "\n".join([lines[0], "|" + "---|" * len(header), *lines[1:], ""]) + "\n"
