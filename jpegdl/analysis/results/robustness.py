"""The attacks of a card as text. No number appears without the attacks and shares that show hidden gradients."""

from collections.abc import Callable, Mapping, Sequence

from jpegdl.analysis.masking import masking_signs
from jpegdl.analysis.results.markdown import format_p, share, table
from jpegdl.analysis.results.runs import LEVEL, points
from jpegdl.analysis.results.words import signed
from jpegdl.pairs.chances import holm
from jpegdl.pairs.classifier import ARMS
from jpegdl.pairs.measured import Attack, RobustAccuracy

MANY_STEPS = 50

# What must have been run before any number is printed; each is no weaker for a gradient that the layer hides.
REQUIRED: Mapping[str, Callable[[Attack], bool]] = {
    f"PGD of at least {MANY_STEPS} steps with restarts": lambda a: _own(a, "layer") and a.restarts > 1,
    "PGD past the layer (straight-through)": lambda a: _own(a, "straight-through"),
    "transfer between the networks": lambda a: a.transferred,
    "Square, which needs no gradient": lambda a: a.method == "square",
}


def missing_checks(rows: Sequence[RobustAccuracy]) -> list[str]:
    """Attacks that are required beside every robustness number and were not run."""
    return [name for name, fits in REQUIRED.items() if not any(fits(row.attack) for row in rows)]


def finding(rows: Sequence[RobustAccuracy]) -> tuple[int, str]:
    """Direction (1: more robust, -1: less, 0: neither shown) and a sentence with the counts behind it.

    One rule for both: a network is more robust than the other if it has a clear lead under a stronger attack than the
    paper's that is made on itself, is nowhere clearly behind, and shows no sign of hidden gradients. Clear is p < LEVEL
    by McNemar's test after Holm's correction over all rows of the pair, so that a row of thirty is no verdict by
    chance. Without every required attack nothing is judged.
    """
    if missing := missing_checks(rows):
        return 0, f"not judged, since these were not run: {'; '.join(missing)}"
    clear = _clear(rows)
    paper = [sign for row, sign in zip(rows, clear, strict=True) if is_papers(row.attack)]
    stronger = [sign for row, sign in zip(rows, clear, strict=True) if not is_papers(row.attack)]
    own = [s for row, s in zip(rows, clear, strict=True) if not is_papers(row.attack) and not row.attack.transferred]
    signs = {arm: len(masking_signs(rows, arm)) for arm in ARMS}
    text = (
        f"under the paper's attacks JPEG-DL is clearly ahead in {paper.count(1)} of {len(paper)} rows and clearly "
        f"behind in {paper.count(-1)}, under stronger ones ahead in {stronger.count(1)} of {len(stronger)} and behind "
        f"in {stronger.count(-1)}; {_some(signs['jpegdl'])} of hidden gradients"
    )
    text += f", and {signs['baseline']} in the baseline" if signs["baseline"] else ""
    text += f"; {_pictures(rows)}"
    leads = {1: signs["jpegdl"], -1: signs["baseline"]}
    shown = [lead for lead, hides in leads.items() if lead in own and -lead not in clear and not hides]
    return (shown[0] if shown else 0), text


def all_signs(rows: Sequence[RobustAccuracy]) -> list[str]:
    """What points at hidden gradients in either network, JPEG-DL's first."""
    return [sign for arm in reversed(ARMS) for sign in masking_signs(rows, arm)]


def is_papers(attack: Attack) -> bool:
    """FGSM or few-step PGD through the layer, the only attacks of the paper."""
    return attack.method in ("fgsm", "pgd-last") and attack.backward == "layer" and not attack.transferred


def robustness_section(rows: Sequence[RobustAccuracy]) -> str:
    """Markdown: a row for each attack with its checks, and what points at hidden gradients."""
    if missing := missing_checks(rows):
        return (
            "Attacks were run, but their numbers are not shown, since without these attacks they could come from "
            f"hidden gradients: {'; '.join(missing)}.\n\n"
        )
    header = ["attack", "eps × 255", "steps × restarts", "n", "baseline, clean", "JPEG-DL, clean"]
    header += [
        "baseline, attacked",
        "JPEG-DL, attacked",
        "difference",
        "p",
        "zero gradients (values), baseline / JPEG-DL",
    ]
    header += ["zero gradients (whole pictures), baseline / JPEG-DL", "flat coefficients", "median hardness"]
    signs = all_signs(rows)
    found = "".join(f"- {sign}\n" for sign in signs)
    return (
        "Attacks, each row with what shows whether gradients were only hidden; difference is JPEG-DL minus baseline in "
        "points, p is McNemar's on the attacked pictures:\n\n"
        f"{table(header, [_row(row) for row in rows])}"
        + (
            f"Signs of hidden gradients, so that this network's numbers may say little about robustness:\n\n{found}\n"
            if signs
            else "Among these attacks there is no sign of hidden gradients, which is not a proof of robustness.\n\n"
        )
    )


def _row(row: RobustAccuracy) -> list[str]:
    attack, checks = row.attack, row.checks
    return [
        attack.name,
        f"{255 * attack.epsilon:.3g}",
        f"{attack.steps} × {attack.restarts}",
        str(row.attacked.n),
        *(share(row.clean, arm) for arm in ARMS),
        *(share(row.attacked, arm) for arm in ARMS),
        signed(points(row.attacked)),
        format_p(row.attacked.p_value),
        " / ".join(f"{checks.zero_gradient_values[arm]:.1%}" for arm in ARMS),
        " / ".join(f"{checks.zero_gradient_pictures[arm]:.1%}" for arm in ARMS),
        f"{checks.flat_coefficients:.1%}",
        f"{checks.median_hardness:.3g}",
    ]


def _some(signs: int) -> str:
    return f"{signs or 'no'} sign{'s' if signs > 1 else ''}"


def _pictures(rows: Sequence[RobustAccuracy]) -> str:
    counts = sorted({row.attacked.n for row in rows})
    return f"n = {counts[0]}" if len(counts) == 1 else f"n = {counts[0]} to {counts[-1]}"


def _clear(rows: Sequence[RobustAccuracy]) -> list[int]:
    """1 or -1 for each row in which JPEG-DL is clearly ahead or behind, after Holm's correction over all of them."""
    ahead = [points(row.attacked) for row in rows]
    adjusted = holm([row.attacked.p_value for row in rows])
    return [((x > 0) - (x < 0)) if p < LEVEL else 0 for x, p in zip(ahead, adjusted, strict=True)]


def _own(attack: Attack, backward: str) -> bool:
    """Many steps along the attacked network's own gradient."""
    return (
        attack.method == "pgd" and attack.backward == backward and attack.steps >= MANY_STEPS and not attack.transferred
    )
