"""Doses of known curves, refusals in a sentence, identities, and coverage (simulated_doses)."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from harness.metrics.lookup import SCORE
from harness.statistics.dose_response import Curve, NoDose
from tests.statistics.simulated_doses import DOSES as SIMULATED
from tests.statistics.simulated_doses import bmdls, ed50s, simulate, sweeps

DOSES = (0, 1, 2, 4, 8)
LOSS = replace(SCORE, name="loss", kind="loss", good="lower", bounds=(0, None))


def exact(*rights: int, doses=DOSES, kind=SCORE, n=100):
    """A curve whose samples are right in this number at each dose, the same ones first."""
    values = np.array([[row < right for right in rights] for row in range(n)], dtype=float)
    return Curve(doses, values, kind)


def test_half_of_the_way_is_read_between_doses_on_their_scale():
    found = exact(90, 80, 60, 20, 10).effective_dose()
    places = np.log2(np.array(DOSES) + 1)
    expected = 2 ** (places[2] + (places[3] - places[2]) * 10 / 40) - 1
    assert found.value == pytest.approx(expected)
    assert found.low < found.value < found.high
    assert exact(90, 80, 50, 20, 10).effective_dose().value == pytest.approx(2)


def test_fractions_of_a_dose_are_on_a_straight_scale():
    curve = exact(10, 20, 50, 80, 90, doses=(0, 0.1, 0.2, 0.4, 0.8))
    assert curve.scale == "linear"
    assert curve.direction == "rising"
    assert curve.effective_dose().value == pytest.approx(0.2)
    assert curve.effective_dose(0.25).value == pytest.approx(0.1 + 0.1 / 3)


def test_the_interval_holds_the_doses_that_a_t_test_does_not_tell_from_half():
    """By scanning: at every dose inside, and at none outside, the test does not reject."""
    rng = np.random.default_rng(0)
    values = (rng.random((60, 5)) < (0.9, 0.8, 0.5, 0.3, 0.2)).astype(float)
    curve = Curve((0, 1, 2, 3, 4), values, SCORE)
    found = curve.effective_dose()
    places, target = curve.places, (values[:, 0] + values[:, -1]) / 2
    accepted = []
    for place in np.linspace(0.001, places[-1] - 0.001, 4001):
        at = int(np.searchsorted(places, place)) - 1
        part = (place - places[at]) / (places[at + 1] - places[at])
        rows = (1 - part) * values[:, at] + part * values[:, at + 1]
        if stats.ttest_1samp(rows - target, 0).pvalue >= 0.05:
            accepted.append(2**place - 1)
    assert (found.low, found.high) == pytest.approx((accepted[0], accepted[-1]), abs=0.01)


@settings(max_examples=25)
@given(st.lists(st.integers(0, 100), min_size=5, max_size=5), st.sampled_from([SCORE, LOSS]))
def test_a_mirrored_metric_has_the_same_doses(rights, kind):
    curve = exact(*rights, kind=kind)
    other = "lower" if kind.good == "higher" else "higher"
    mirrored = Curve(DOSES, 1 - curve.values, replace(kind, good=other))
    for ask in (Curve.effective_dose, Curve.benchmark, Curve.levels):
        own, other_way = told(ask, curve), told(ask, mirrored)
        assert own == (other_way if isinstance(other_way, str) else pytest.approx(other_way))
    assert curve.levels().noel in DOSES


def told(ask, curve):
    try:
        return [math.inf if dose is None else dose for dose in ask(curve)]
    except NoDose as reason:
        return str(reason).replace("rises", "moves").replace("falls", "moves")


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_bounds_lie_on_their_side(seed):
    rng = np.random.default_rng(seed)
    chances = np.sort(rng.random(5))[::-1]
    curve = Curve(DOSES, (rng.random((80, 5)) < chances).astype(float), SCORE)
    found = curve.benchmark()
    assert (found.lower or 8) <= (math.inf if found.dose is None else found.dose) + 1e-9
    levels = curve.levels()
    assert levels.loel is None or levels.noel < levels.loel
    try:
        dose = curve.effective_dose()
    except NoDose:
        return
    assert 0 <= dose.low <= dose.value <= dose.high <= 8
    assert curve.effective_dose(0.25).value <= dose.value <= curve.effective_dose(0.75).value


def test_the_benchmark_dose_is_of_harm():
    safe = exact(60, 70, 80, 90, 95).benchmark()
    assert safe.dose is None
    assert safe.lower is None  # it rises: nothing falls by 5 points
    harm = exact(60, 70, 80, 90, 95).benchmark(side="rising")
    assert harm.dose == pytest.approx(2**0.5 - 1)
    assert harm.lower < harm.dose
    assert exact(60, 70, 80, 90, 95, kind=LOSS).benchmark().dose == pytest.approx(2**0.5 - 1)


def test_few_samples_that_do_not_change_promise_little():
    """None of 20 fell: a fall of 5 % is not excluded, which would take 52 of them."""
    assert exact(20, 20, 20, 20, 20, n=20).benchmark().lower is not None
    assert exact(100, 100, 100, 100, 100, n=100).benchmark().lower is None


def test_levels_are_those_from_which_on_every_dose_differs():
    assert exact(90, 88, 60, 20, 10).levels() == (2, 1)
    assert exact(90, 60, 88, 20, 10).levels() == (4, 2)  # 1 differs, 2 above it does not
    assert exact(90, 90, 90, 90, 90).levels() == (None, 8)


@pytest.mark.parametrize(
    ("rights", "sentence"),
    [
        ((90, 90, 90, 90, 90), "it does not move up to 8, the highest dose"),
        ((90, 20, 80, 40, 40), "it turns at 1: from there to 2 it rises by 0.6"),
    ],
)
def test_a_curve_without_a_dose_says_why(rights, sentence):
    with pytest.raises(NoDose, match=sentence):
        exact(*rights).effective_dose()


def test_too_few_doses_or_samples_are_no_curve():
    with pytest.raises(NoDose, match="3 doses are no curve; measure at least 4"):
        exact(90, 50, 10, doses=(0, 1, 2))
    with pytest.raises(NoDose, match="one sample has no spread"):
        exact(1, 1, 0, 0, doses=(0, 1, 2, 3), n=1)


@pytest.mark.parametrize("seed", range(20))
def test_a_curve_that_has_moved_before_its_second_dose_has_no_slope(seed):
    random = np.random.default_rng(seed)
    right = random.random(60) < 0.9
    lost = right & (random.random(60) < 0.6)
    values = np.stack([right, *[right & ~lost] * 5], axis=1).astype(float)
    with pytest.raises(NoDose):
        Curve((0, 1, 2, 4, 8, 16), values, SCORE).hill()


def test_hills_slope_is_that_of_the_curve_that_made_the_data():
    rng = np.random.default_rng(5)
    doses = np.array([0, 1, 2, 4, 8, 16, 32])
    chances = 0.9 - 0.7 * doses**1.5 / (doses**1.5 + 4**1.5)
    curve = Curve(doses.tolist(), (rng.random((4000, 7)) < chances).astype(float), SCORE)
    found = curve.hill()
    assert found.low < 1.5 < found.high
    assert found.slope == pytest.approx(1.5, abs=0.2)
    assert found.ed50 == pytest.approx(4, rel=0.15)


def test_a_curve_of_two_steps_is_not_hills():
    rng = np.random.default_rng(5)
    chances = (0.9, 0.6, 0.6, 0.6, 0.6, 0.2, 0.2)
    curve = Curve(range(7), (rng.random((2000, 7)) < chances).astype(float), SCORE)
    with pytest.raises(NoDose, match="the data reject Hill's curve"):
        curve.hill()


@pytest.mark.parametrize(("n", "doses", "shape"), [(20, 5, "flat"), (40, 12, "steep")])
def test_what_is_simulated_at_once_is_what_a_curve_says(n, doses, shape):
    (values,) = sweeps(n, doses, shape, "half", 15)
    low, high, given_ = ed50s(SIMULATED[doses], values)
    bounds = np.transpose(bmdls(SIMULATED[doses], values))
    for at, each in enumerate(values.astype(float)):
        curve = Curve(SIMULATED[doses], each, SCORE)
        safe = curve.benchmark(side="falling")
        ends = [math.inf if each is None else each for each in (safe.lower, safe.low, safe.high)]
        assert ends == pytest.approx(bounds[at], abs=1e-4)
        try:
            found = curve.effective_dose()
        except NoDose:
            assert not given_[at]
        else:
            assert (found.low, found.high) == pytest.approx((low[at], high[at]))


@pytest.mark.slow
@pytest.mark.parametrize("n", [20, 164, 1319])
@pytest.mark.parametrize("luck", ["shared", "half", "own"])
def test_intervals_hold_the_truth(n, luck):
    found = simulate(n, 7, "flat", luck, runs=400)
    assert found.held >= 0.93 - 0.025
    assert n == 20 or found.held <= 0.97 + 0.02
    assert found.missed <= 0.07 + 0.025
    assert found.bmd_held >= 0.93 - 0.025
    assert n == 20 or found.refused <= 0.1
