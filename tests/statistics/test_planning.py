"""Sweeps that are drawn to plan by, and numbers that are found of them, held against formulas."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from harness.statistics.planning import (
    AssumedSweeps,
    ResampledSweeps,
    SweepsBeside,
    fewest_samples,
    power_of,
    stopped_samples,
)
from harness.statistics.power import (
    fewest,
    mean_samples_needed,
    rate_power,
    samples_needed,
    side_power,
)
from harness.statistics.sequential import side_needed, stopping_needed

RATES = np.array([0.6, 0.5, 0.4])


@pytest.mark.parametrize("changes", [0.2, 0.3, 0.52])
def test_sweeps_have_these_rates_and_so_many_samples_change(changes):
    sweeps = AssumedSweeps.changing(RATES, changes)
    values = sweeps.draw(0, 200_000)
    assert values.mean(axis=0) == pytest.approx(RATES, abs=0.005)
    assert (values[:, 0] != values[:, 2]).mean() == pytest.approx(changes, abs=0.005)
    assert sweeps.changes == pytest.approx(changes)


def test_no_fewer_samples_change_than_must_and_no_more_than_can():
    assert AssumedSweeps.changing(RATES, 0.01).changes == pytest.approx(0.2)
    assert AssumedSweeps.changing(RATES, 0.9).changes == pytest.approx(0.6**2 + 0.4**2)


@pytest.mark.parametrize(
    "sweeps",
    [
        AssumedSweeps.changing(RATES, 0.3),
        ResampledSweeps(np.arange(30.0).reshape(10, 3)),
        SweepsBeside((AssumedSweeps(RATES), AssumedSweeps(1 - RATES))),
    ],
)
def test_more_samples_of_a_run_begin_with_the_same(sweeps):
    assert np.array_equal(sweeps.draw(3, 50)[:20], sweeps.draw(3, 20))
    assert not np.array_equal(sweeps.draw(3, 50), sweeps.draw(4, 50))


def test_sweeps_beside_each_other_share_no_luck():
    values = SweepsBeside((AssumedSweeps(RATES), AssumedSweeps(RATES))).draw(0, 50_000)
    assert abs(np.corrcoef(values[:, 0], values[:, 3])[0, 1]) < 0.02


def test_a_pilots_samples_are_drawn_whole():
    rows = np.array([[0, 1], [2, 3], [4, 5]], dtype=float)
    values = ResampledSweeps(rows).draw(0, 100)
    assert {tuple(each) for each in values} == {(0, 1), (2, 3), (4, 5)}


def test_columns_that_are_alike_change_places_within_a_sample():
    rows = np.array([[0, 1, 9, 5], [2, 3, 9, 7]], dtype=float)
    sweeps = ResampledSweeps(rows, ((0, 1),))
    values = sweeps.draw(0, 4000)
    assert {tuple(sorted(each[:2])) for each in values} == {(0, 1), (2, 3)}
    assert (values[:, 2] == 9).all()
    assert set(values[:, 3]) == {5, 7}
    assert values[:, 0].mean() == pytest.approx(values[:, 1].mean(), abs=0.1)
    assert np.array_equal(sweeps.draw(0, 40)[:9], sweeps.draw(0, 9))


def rejects(values):
    """Exact McNemar's test between the first column and the last."""
    steps = values[:, -1] - values[:, 0]
    rose, fell = int((steps > 0).sum()), int((steps < 0).sum())
    return rose + fell > 0 and stats.binomtest(rose, rose + fell).pvalue < 0.05


@pytest.mark.parametrize(("effect", "changes"), [(0.2, 0.3), (0.1, 0.1)])
def test_the_number_that_is_simulated_is_that_of_the_formula(effect, changes):
    rates = np.array([(1 + effect) / 2, (1 - effect) / 2])
    sweeps = AssumedSweeps.changing(rates, changes)
    found = fewest_samples(sweeps, rejects)
    assert found == pytest.approx(samples_needed(effect, changes), rel=0.15)
    assert power_of(sweeps, rejects, found) >= 0.8


def test_what_no_number_of_samples_shows_has_none():
    assert fewest_samples(AssumedSweeps(RATES), lambda _: False) is None


def test_sweeps_that_stop_take_fewer_samples_and_never_fewer_than_the_first_look():
    sweeps = AssumedSweeps.changing(np.array([0.65, 0.35]), 0.4)
    mean, most = stopped_samples(sweeps, rejects, 10, 30, 400)
    assert 30 <= mean < most < 400
    assert stopped_samples(sweeps, lambda _: True, 10, 30, 400) == (30, 30)
    assert stopped_samples(sweeps, lambda _: False, 10, 30, 400) == (400, 400)


@pytest.mark.parametrize(("above", "bound"), [(True, False), (True, True), (False, True)])
def test_a_rate_is_on_its_side_of_a_number_as_often_as_it_is_told(above, bound):
    n, number = 120, 0.7
    rate = 0.8 if above else 0.6
    drawn = np.random.default_rng(0).binomial(n, rate, 4000)
    if bound:
        part = 0.025 if above else 0.975
        drawn = stats.beta.ppf(part, drawn + 0.5, n - drawn + 0.5)
    else:
        drawn = drawn / n
    expected = np.mean(drawn >= number if above else drawn <= number)
    assert side_power(n, rate, number, above=above, bound=bound) == pytest.approx(
        expected, abs=0.025
    )


def test_more_of_an_effect_takes_fewer_samples():
    def beside(rate):
        return fewest(lambda n: side_power(n, rate, 0.5, above=True, bound=True))

    for found in (
        [samples_needed(effect, 0.4) for effect in (0.05, 0.1, 0.2)],
        [stopping_needed(effect, 0.4, 0.05)[0] for effect in (0.05, 0.1, 0.2)],
        [mean_samples_needed(effect, 1.0) for effect in (0.1, 0.2, 0.5)],
        [beside(rate) for rate in (0.55, 0.6, 0.8)],
        [side_needed(rate, 0.5, 0.05, 400, 16)[0] for rate in (0.55, 0.6, 0.8)],
    ):
        assert found == sorted(found, reverse=True)
        assert len(set(found)) == 3


def test_a_mean_takes_what_the_t_test_needs():
    from statsmodels.stats.power import TTestPower

    needed = TTestPower().solve_power(0.3, power=0.8, alpha=0.01)
    assert mean_samples_needed(0.6, 2.0, 0.01) == np.ceil(needed)


def test_fewest_is_the_first_number_that_has_the_power():
    found = fewest(lambda n: rate_power(n, 0.3, 0.15))
    assert rate_power(found - 1, 0.3, 0.15) < 0.8 <= rate_power(found, 0.3, 0.15)
    assert fewest(lambda n: n / 100, 79) is None
    assert fewest(lambda n: n / 100, 80) == 80


@pytest.mark.slow
def test_so_many_samples_decide_a_side_in_four_of_five_benchmarks():
    """By the interval that a sweep asks, look by look, and not by the bet alone."""
    from harness.statistics.sequential import mean_sequence

    size, look, number, rate = 300, 20, 0.6, 0.75
    _, most = side_needed(rate, number, 0.05, size, look)
    known = 0
    for run in range(300):
        data = (np.random.default_rng([1, run]).random(size) < rate).astype(float)
        for seen in (*range(look, most, look), most):
            low, high = mean_sequence(data[:seen], (0, 1), 0.05, size)
            if low >= number or high < number:
                known += 1
                break
    assert known / 300 == pytest.approx(0.82, abs=0.08)
