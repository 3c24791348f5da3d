"""Ratios of doses and windows: exact cases, symmetry, coverage."""

from __future__ import annotations

import numpy as np
import pytest

from harness.metrics.lookup import SCORE
from harness.statistics.dose_response import Curve, NoDose
from harness.statistics.potency import potency, window

DOSES = (0, 1, 2, 4, 8, 16, 32)


def drawn(rng, chances, n=164, luck=None):
    """0/1 values at each dose; with `luck` ([n, 1]) all doses share it."""
    return Curve(
        DOSES,
        ((rng.random((n, 7)) if luck is None else luck) < chances).astype(float),
        SCORE,
    )


def falling(middle):
    """The chances of a curve that is half way down at this dose."""
    return 0.9 - 0.8 / (1 + (middle / np.maximum(DOSES, 1e-9)) ** 2)


def half(chances):
    """ED50 of these chances, read as straight lines."""
    places = np.log2(np.array(DOSES) + 1)
    return 2 ** np.interp(-(chances[0] + chances[-1]) / 2, -chances, places) - 1


def test_a_curve_beside_itself_takes_the_same_dose():
    curve = drawn(np.random.default_rng(0), falling(4))
    found = potency(curve, curve)
    assert found.value == 1
    assert found.low == pytest.approx(1, abs=0.02)
    assert found.high == pytest.approx(1, abs=0.02)


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


@pytest.mark.slow
@pytest.mark.parametrize(
    "shared",
    [
        0.0,
        0.5,
        pytest.param(
            1.0, marks=pytest.mark.xfail(reason="0.86 where one number decides all", strict=True)
        ),
    ],
)
def test_ratios_hold_the_truth(shared):
    """`shared` is the share of samples of which one number decides all doses of both curves."""
    rng = np.random.default_rng(5)
    true = half(falling(6)) / half(falling(3))
    held = 0
    for _ in range(400):
        same = rng.random((164, 1)) < shared
        common = np.where(same, rng.random((164, 1)), 2.0)
        curves = []
        for middle, own in ((3, rng.random((164, 7))), (6, rng.random((164, 7)))):
            luck = np.where(common <= 1, common, own)
            curves.append(drawn(rng, falling(middle), luck=luck))
        found = potency(*curves)
        held += found.low <= true <= (found.high or np.inf)
    assert 0.925 <= held / 400 <= 0.98
