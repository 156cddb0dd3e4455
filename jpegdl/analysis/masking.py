"""Do a network's rows of attacks show robustness, or gradients that are only hidden (Athalye et al. 2018)?"""

from collections.abc import Mapping, Sequence

from jpegdl.pairs.chances import fisher, mcnemar
from jpegdl.pairs.classifier import Arm
from jpegdl.pairs.measured import Attack, RobustAccuracy

_NAMES: Mapping[Arm, str] = {"baseline": "the baseline", "jpegdl": "JPEG-DL"}
CLEAR = 0.05  # p below which two rows differ


def masking_signs(rows: Sequence[RobustAccuracy], arm: Arm) -> list[str]:
    """Sentences on what in an arm's rows points at hidden gradients instead of robustness, or none.

    Signs are: at the same budget, an attack that leaves fewer right answers than one that should be stronger (few steps
    against many; no gradient, another network's or one past the layer against the network's own); a larger budget that
    leaves more to an attack that searches in it; a layer that is flat for most coefficients. Attacks start at random
    points, so a picture or two are no sign: on as many pictures, the difference must be clear by McNemar's exact test
    if all pictures that differ differ this way (a card does not say which they are, and fewer than six never are); on
    other numbers of pictures by Fisher's. n is in the sentence.
    """
    signs = [
        f"{weak.attack.name} left {_NAMES[arm]} {_of(weak, arm)} right answers at {_budget(weak)}, "
        f"{strong.attack.name} left {_of(strong, arm)} at {_budget(strong)}: {why}"
        for weak in rows
        for strong in rows
        if (why := _expected(weak.attack, strong.attack)) and _leaves_fewer(weak, strong, arm)
    ]
    if arm == "jpegdl" and rows and rows[0].checks.flat_coefficients > 0.5:
        share = rows[0].checks.flat_coefficients
        signs.append(f"the layer passes no gradient for {share:.0%} of the coefficients")
    return signs


def _leaves_fewer(first: RobustAccuracy, second: RobustAccuracy, arm: Arm) -> bool:
    (one, of_one), (other, of_other) = [(row.attacked.correct(arm), row.attacked.n) for row in (first, second)]
    if one * of_other >= other * of_one:
        return False
    return (mcnemar(0, other - one) if of_one == of_other else fisher((one, other), (of_one, of_other))) < CLEAR


def _of(row: RobustAccuracy, arm: Arm) -> str:
    return f"{row.attacked.correct(arm)} of {row.attacked.n}"


def _budget(row: RobustAccuracy) -> str:
    return f"{255 * row.attack.epsilon:.3g}/255"


def _expected(weak: Attack, strong: Attack) -> str:
    """Why `strong` should leave no more right answers than `weak`; empty if nothing is expected of the two."""
    if weak.name == strong.name:
        searches = weak.method != "fgsm"  # whose one step ends at the border of its budget, wherever that is
        return "a larger budget contains the smaller one" if weak.epsilon < strong.epsilon and searches else ""
    own = strong.method in ("pgd", "pgd-last") and strong.backward == "layer" and not strong.transferred
    if weak.epsilon != strong.epsilon or not own:
        return ""
    if weak.method != "square" and weak.backward == "layer" and not weak.transferred:
        return "more steps should find no fewer errors" if weak.steps < strong.steps else ""
    if strong.method != "pgd":  # the paper's few steps are weak for other reasons too
        return ""
    if weak.method == "square":
        return "an attack without gradients should find no more errors than one with them"
    if weak.transferred:
        return "examples made on another network should fool it no more than its own"
    return "a gradient past the layer should find no more errors than the layer's own"
