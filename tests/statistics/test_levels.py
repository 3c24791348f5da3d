"""What another run of the same size would say of LOEL and NOEL."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.metrics.lookup import SCORE
from harness.statistics.dose_response import Curve
from harness.statistics.levels import Levels, levels_of, predicted
from tests.statistics.simulated_levels import simulate

DOSES = (0, 1, 2, 4, 8)


def changes(*falls: int, n: int = 100) -> np.ndarray:
    return -np.array([[row < each for each in falls] for row in range(n)], dtype=float)


@settings(max_examples=20)
@given(st.lists(st.integers(0, 100), min_size=4, max_size=4))
def test_what_this_run_says_is_always_within(falls):
    curve = Curve(DOSES, 1 + np.hstack([np.zeros((100, 1)), changes(*falls)]), SCORE)
    own, found = curve.levels(), curve.levels_range()
    assert found.noel_low <= own.noel <= found.noel_high
    ends = [np.inf if each is None else each for each in (found.loel_low, found.loel_high)]
    assert ends[0] <= (np.inf if own.loel is None else own.loel) <= ends[1]


def test_what_is_sure_has_no_width_and_what_is_not_has():
    sure = predicted(Levels(1, 0), DOSES, changes(90, 90, 90, 90), binary=True)
    assert sure == (1, 1, 0, 0)
    none = predicted(Levels(None, 8), DOSES, changes(0, 0, 0, 0), binary=True)
    assert none == (None, None, 8, 8)
    open_ = predicted(
        levels_of(DOSES, [1, 1, 0.01, 0.001]), DOSES, changes(0, 3, 10, 12), binary=True
    )
    assert open_.loel_low < (open_.loel_high or np.inf)


def test_numbers_are_told_apart_as_rates_are():
    for falls in ((0, 10, 40, 80), (30, 60, 80, 95)):
        own = levels_of(DOSES, [1, 1, 1, 1])
        rates, numbers = (
            predicted(own, DOSES, changes(*falls), binary=binary) for binary in (True, False)
        )
        assert numbers.noel_low == pytest.approx(rates.noel_low)


def test_few_units_say_nothing_of_others():
    assert predicted(Levels(1, 0), DOSES, changes(9, 9, 9, 9, n=9), binary=True) is None


def test_another_run_is_within():
    assert simulate(164, 7, "flat", "half", runs=60).held >= 0.9
