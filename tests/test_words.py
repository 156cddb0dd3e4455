"""Numbers in words: whole counts of cases that are close to p, and parts only where they are parts."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jpegdl.analysis.results.words import chance_text, part_text, signed


@pytest.mark.parametrize(
    ("p", "text"),
    [
        (3.1e-4, "in 3 of 10,000 cases"),
        (0.029, "in 3 of 100 cases"),
        (0.0149, "in 15 of 1,000 cases"),
        (0.92, "in 92 of 100 cases"),
        (0.9999, "in 9999 of 10,000 cases"),
        (1.0, "always"),
        (2e-6, "in 2 of 1,000,000 cases"),
        (5.7e-17, "in fewer than 1 of 1,000,000 cases"),
        (0.0, "in fewer than 1 of 1,000,000 cases"),
    ],
)
def test_a_p_value_is_said_as_cases(p, text):
    assert chance_text(p) == text


@given(st.floats(1e-5, 0.9999))
def test_the_cases_are_close_to_p_and_never_all_or_none(p):
    found = re.fullmatch(r"in (\d+) of ([\d,]+) cases", chance_text(p))
    assert found
    count, cases = int(found[1]), int(found[2].replace(",", ""))
    assert 0 < count < cases
    assert count / cases == pytest.approx(p, rel=0.13)


def test_a_part_is_only_called_one_if_it_is():
    assert part_text("the index limit alone", 4.12, 6.47) == "The index limit alone: +4.1 of +6.5 points"
    assert part_text("x", -23.5, -29.1) == "X: −23.5 of −29.1 points"
    assert part_text("x", -2.1, 6.5) == "X: −2.1 points, not +6.5"
    assert part_text("x", 7.0, 6.5) == "X: +7.0 points, not +6.5"


def test_points_carry_their_sign_but_zero_does_not():
    assert [signed(value) for value in (1.25, -0.31, 0.04, -0.04)] == ["+1.2", "−0.3", "0.0", "0.0"]
