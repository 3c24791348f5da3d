from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.report.rounding import ceiling, fixed, percent, significant

VALUES = st.floats(-1e6, 1e6)


@given(value=VALUES, digits=st.integers(0, 4))
def test_nothing_is_nearer_and_halves_go_away_from_zero(value, digits):
    apart = Fraction(fixed(value, digits)) - Fraction(value)
    half = Fraction(1, 2 * 10**digits)
    assert abs(apart) <= half
    if abs(apart) == half:
        assert (apart > 0) == (value > 0)


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [(2.5, 0, "3"), (0.125, 2, "0.13"), (-0.125, 2, "-0.13"), (1.005, 2, "1.00"), (0.0, 1, "0.0")],
)
def test_examples(value, digits, text):
    assert fixed(value, digits) == text


def test_a_signed_number_has_its_sign():
    assert [fixed(value, 2, signed=True) for value in (0.0, 0.375, -0.375)] == [
        "+0.00",
        "+0.38",
        "-0.38",
    ]


def test_a_share_of_an_eighth_is_thirteen_per_cent():
    assert [percent(share) for share in (0, 0.125, 0.5, 1)] == ["0", "13", "50", "100"]


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (0.0625, "0.063"), (-0.0625, "-0.063"), (0.02, "0.02")]
)
def test_significant_digits(value, text):
    assert significant(value, 2) == text


@given(value=st.floats(0, 1))
def test_what_is_needed_at_least_is_never_rounded_down(value):
    assert value - 1e-9 <= float(ceiling(value)) < value + 0.01 + 1e-9


def test_what_has_two_decimals_is_not_rounded_up():
    assert [ceiling(hundredth / 100) for hundredth in range(101)] == [
        f"{hundredth / 100:.2f}" for hundredth in range(101)
    ]
