"""Exact tests and an interval for counts of right answers.

The formulas of scipy.stats on scipy.special's functions: importing scipy.stats would cost a start of the page a second.
"""

import math
import statistics
from collections.abc import Sequence

import numpy as np
from scipy.special import bdtr, gammaln, ndtri, stdtr

_TIE = 1e-7  # relative: tables as likely as the one seen, but for rounding


def wilson(right: int, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share, 0..1, without continuity correction."""
    z = float(ndtri(0.975))
    middle, half = right + z * z / 2, z * math.sqrt(right * (n - right) / n + z * z / 4)
    return max(0.0, (middle - half) / (n + z * z)), min(1.0, (middle + half) / (n + z * z))


def mcnemar(only_one: int, only_other: int) -> float:
    """Exact McNemar test, two-sided: twice the smaller tail of Binomial(n, 1/2), at most 1."""
    if abs(only_one - only_other) <= 1:
        return 1.0  # exactly, which the sum of the tail misses by its rounding
    return 2 * float(bdtr(min(only_one, only_other), only_one + only_other, 0.5))


def fisher(right: tuple[int, int], n: tuple[int, int]) -> float:
    """Fisher's exact test, two-sided, of right[i] successes in n[i]: the tables no likelier than the one seen."""
    both = sum(right)
    first = np.arange(max(0, both - n[1]), min(n[0], both) + 1)
    likely = np.exp(_log_choose(n[0], first) + _log_choose(n[1], both - first) - _log_choose(sum(n), np.asarray(both)))
    return min(1.0, float(likely[likely <= likely[right[0] - first[0]] * (1 + _TIE)].sum()))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction of a family of p values (Holm 1979), in their order: each at most 1."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted, least = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(order):
        least = max(least, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = least
    return adjusted


def t_test(values: Sequence[float]) -> float:
    """Student's t test of a mean against 0, two-sided, of at least two values that are not all the same."""
    t = statistics.fmean(values) / (statistics.stdev(values) / math.sqrt(len(values)))
    return 2 * float(stdtr(len(values) - 1, -abs(t)))


def _log_choose(n: int, k: np.ndarray) -> np.ndarray:
    return gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)


__all__ = ["fisher", "holm", "mcnemar", "t_test", "wilson"]
