"""Ratios of doses and windows: exact cases, symmetry, coverage."""

from __future__ import annotations

import numpy as np
import pytest

from harness.metrics.lookup import SCORE
from harness.statistics.dose_response import Curve, NoDose
from harness.statistics.potency import potency, window
from tests.statistics.simulated_ratios import DOSES, LUCK, PAIRS, falling, half, simulate


def drawn(rng, chances, n=164, luck=None):
    """0/1 values at each dose; with `luck` ([n, 1]) all doses share it."""
    return Curve(
        DOSES,
        ((rng.random((n, 7)) if luck is None else luck) < chances).astype(float),
        SCORE,
    )


def test_a_curve_beside_itself_takes_the_same_dose():
    curve = drawn(np.random.default_rng(0), falling(4))
    found = potency(curve, curve)
    assert found.value == 1
    assert found.low == pytest.approx(1, abs=0.03)
    assert found.high == pytest.approx(1, abs=0.03)


def test_the_ratio_of_two_is_that_of_their_doses_and_turns_around():
    rng = np.random.default_rng(1)
    one, other = drawn(rng, falling(3), 1000), drawn(rng, falling(9), 1000)
    found, back = potency(one, other), potency(other, one)
    assert found.value == other.effective_dose().value / one.effective_dose().value
    assert found.low < 3 < found.high
    assert (1 / back.high, 1 / back.low) == pytest.approx((found.low, found.high), rel=0.02)


def test_shared_luck_makes_a_ratio_narrow():
    rng = np.random.default_rng(2)
    luck = rng.random((164, 1))
    shared = potency(drawn(rng, falling(3), luck=luck), drawn(rng, falling(4), luck=luck))
    own = potency(drawn(rng, falling(3)), drawn(rng, falling(4)))
    assert shared.high / shared.low < own.high / own.low


def test_no_ratio_without_two_doses():
    rng = np.random.default_rng(3)
    flat = Curve(DOSES, np.tile(rng.random((164, 1)) < 0.5, 7).astype(float), SCORE)
    with pytest.raises(NoDose, match="does not move"):
        potency(drawn(rng, falling(4)), flat)


def test_a_window_lies_between_what_is_wanted_and_what_must_be_kept():
    rng = np.random.default_rng(4)
    kept = drawn(rng, falling(20), 1000)
    early, late = drawn(rng, 1 - falling(1.5), 1000), drawn(rng, 1 - falling(20), 1000)
    found = window(early, kept, 0.05)
    assert found.state == "exists"
    assert found.effective.high < found.safe.lower
    assert found.therapeutic.low < half(falling(20)) / half(falling(1.5)) < found.therapeutic.high
    assert window(late, kept, 0.05).state == "none"
    assert window(late, kept, 0.3).state == "undecided"


@pytest.mark.parametrize("n", [20, 60])
def test_where_one_number_decides_all_a_ratio_holds_the_truth(n):
    """A handful of samples tells such curves apart, or none: no interval may shrink to a point."""
    held, refused = simulate(n, "twice", 1.0, 60)
    assert held >= 0.93
    assert refused == 0


@pytest.mark.slow
@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("luck", LUCK)
def test_ratios_hold_the_truth(pair, luck):
    held, refused = simulate(164, pair, LUCK[luck], 300)
    assert held >= 0.92
    assert refused <= 0.1
