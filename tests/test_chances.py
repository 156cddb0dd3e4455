"""Exact tests and intervals of counts, against scipy.stats."""

import random
from itertools import combinations

import pytest
from scipy import stats

from jpegdl.pairs.chances import fisher, holm, mcnemar, t_test, wilson

SIZES = (1, 2, 7, 34, 250, 1389, 10_000)
RANDOM = random.Random(0)
SPLITS = [(n, right) for n in SIZES for right in {0, 1, n // 3, n - 1, n, RANDOM.randrange(n + 1)} if right <= n]


@pytest.mark.parametrize(("n", "right"), SPLITS)
def test_wilsons_interval_is_scipys(n, right):
    assert wilson(right, n) == pytest.approx(tuple(stats.binomtest(right, n).proportion_ci(method="wilson")), abs=1e-12)


@pytest.mark.parametrize(("n", "right"), SPLITS)
def test_mcnemars_exact_test_is_the_binomial_test_of_scipy(n, right):
    assert mcnemar(right, n - right) == pytest.approx(stats.binomtest(right, n).pvalue, rel=1e-9, abs=1e-300)


def test_without_a_picture_that_only_one_named_chance_explains_everything():
    assert mcnemar(0, 0) == 1
    assert {mcnemar(count, count + 1) for count in range(3000)} == {1.0}  # exactly, or "always" becomes a number


@pytest.mark.parametrize("one", SIZES)
@pytest.mark.parametrize("other", SIZES)
def test_fishers_exact_test_is_scipys(one, other):
    for right in ((0, other), (one, other), (one // 2, other // 2), (RANDOM.randrange(one + 1), other // 3)):
        table = [[right[0], one - right[0]], [right[1], other - right[1]]]
        assert fisher(right, (one, other)) == pytest.approx(stats.fisher_exact(table).pvalue, rel=1e-8, abs=1e-300)


@pytest.mark.parametrize("values", [(0.1, 0.2, 0.4), (-3.0, -2.5), (1.5, -1.5, 0.2, 9.0), (5.0, 5.0, 5.1)])
def test_the_t_test_of_seeds_is_scipys(values):
    assert t_test(values) == pytest.approx(stats.ttest_1samp(values, 0.0).pvalue, rel=1e-9)


@pytest.mark.parametrize(
    "p_values", [[RANDOM.random() ** 4 for _ in range(n)] for n in (1, 2, 5, 8)] + [[0.01] * 4, [1.0, 0.0]]
)
def test_holms_correction_is_the_closed_test_of_bonferroni(p_values):
    """Marcus et al. 1976: the largest p of all sub-families that hold the hypothesis, each corrected by Bonferroni."""
    families = [family for size in range(1, len(p_values) + 1) for family in combinations(range(len(p_values)), size)]
    closed = [
        max(min(1.0, len(family) * min(p_values[j] for j in family)) for family in families if i in family)
        for i in range(len(p_values))
    ]
    assert holm(p_values) == pytest.approx(closed)
