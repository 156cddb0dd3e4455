"""Which attacks are run, as data: the paper's two, and those that a hidden gradient does not withstand."""

from collections.abc import Callable, Mapping, Sequence

from jpegdl.analysis.attacks import EPSILONS, PAPER_STEPS
from jpegdl.pairs.measured import Attack, Backward, Method

STRONG_EPSILONS = (2 / 255, 4 / 255)  # the largest of the paper's, and its half


def paper_suite(epsilons: Sequence[float] = EPSILONS) -> tuple[Attack, ...]:
    """The paper's figure 3: FGSM, and PGD with 5 steps of eps / 2 from a random start, through the layer."""
    return (
        *(_attack("FGSM", "fgsm", eps, 1, eps) for eps in epsilons),
        *(_attack("PGD, as in the paper", "pgd-last", eps, PAPER_STEPS, eps / 2) for eps in epsilons),
    )


def strong_suite(
    epsilons: Sequence[float] = STRONG_EPSILONS, *, steps: int = 50, restarts: int = 5, queries: int = 1000
) -> tuple[Attack, ...]:
    """What a hidden gradient does not withstand; steps of 2.5 eps / steps, as in the paper's PGD.

    Many steps with restarts through the layer, past it and through a smooth one, transfer in both directions, Square.
    Raises ValueError, as the other suite, for a budget that is none.
    """
    if min(steps, restarts, queries) < 1:
        raise ValueError(
            f"steps, restarts and queries must be at least 1, got {steps}, {restarts} and {queries}; give more"
        )
    suite: list[Attack] = []
    for eps in epsilons:
        size = 2.5 * eps / steps
        suite += [
            _attack("PGD", "pgd", eps, steps, size, restarts=restarts),
            _attack("PGD, straight-through", "pgd", eps, steps, size, restarts=restarts, backward="straight-through"),
            _attack("PGD, smooth backward", "pgd", eps, steps, size, restarts=restarts, backward="smooth"),
            _attack("PGD, transfer", "pgd-last", eps, steps, size, backward="straight-through", transferred=True),
            _attack("Square", "square", eps, queries, 0.0),
        ]
    return tuple(suite)


PARTS: Mapping[str, Callable[[Attack], bool]] = {  # of both suites, to run one at a time
    "fgsm": lambda attack: attack.method == "fgsm",
    "pgd-paper": lambda attack: attack.method == "pgd-last" and not attack.transferred,
    "pgd": lambda attack: attack.method == "pgd",
    "transfer": lambda attack: attack.transferred,
    "square": lambda attack: attack.method == "square",
}


def _attack(
    name: str,
    method: Method,
    epsilon: float,
    steps: int,
    step_size: float,
    *,
    restarts: int = 1,
    backward: Backward = "layer",
    transferred: bool = False,
) -> Attack:
    if not 0 < epsilon <= 1:
        raise ValueError(f"a budget must be above 0 and at most 1 (white), got {epsilon}; divide grey levels by 255")
    return Attack(
        name=name,
        method=method,
        epsilon=epsilon,
        steps=steps,
        step_size=step_size,
        restarts=restarts,
        backward=backward,
        transferred=transferred,
    )
