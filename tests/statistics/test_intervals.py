"""Intervals against published formulas and the libraries' own; coverage is in test_coverage."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats
from statsmodels.stats.proportion import proportion_confint

from harness.statistics.intervals import (
    mean_difference_interval,
    mean_interval,
    paired_rate_interval,
    paired_share_interval,
    rate_interval,
    share_interval,
)

shares = st.lists(st.integers(0, 4).map(lambda right: right / 4), min_size=2, max_size=40)


@pytest.mark.parametrize(("right", "n"), [(1, 20), (15, 20), (40, 164)])
def test_jeffreys_is_that_of_statsmodels(right, n):
    expected = proportion_confint(right, n, method="jeffreys")
    assert rate_interval(right, n) == pytest.approx(expected)


@pytest.mark.parametrize("n", [1, 20, 164])
def test_a_rate_at_its_end_has_width_and_lies_in_its_interval(n):
    low, high = rate_interval(0, n)
    assert low == 0
    assert 0 < high < 1
    assert rate_interval(n, n) == pytest.approx((1 - high, 1.0))
    assert rate_interval(n, n)[1] == 1.0


@given(shares)
def test_shares_are_mirrored_and_hold_their_mean(values):
    low, high = share_interval(values)
    mirrored = share_interval([1 - value for value in values])
    if low is None:
        assert mirrored == (None, None)
        assert len(set(values)) == 1
        return
    assert 0 <= low <= np.mean(values) <= high <= 1
    assert mirrored == pytest.approx((1 - high, 1 - low))


@given(st.integers(2, 300).flatmap(lambda n: st.tuples(st.integers(1, n - 1), st.just(n))))
def test_one_draw_per_sample_is_statsmodels_wilson(sample):
    # Zeros and ones vary as much as shares can: the effective number is that of the samples.
    right, n = sample
    expected = proportion_confint(right, n, method="wilson")
    assert share_interval([1.0] * right + [0.0] * (n - right)) == pytest.approx(expected)


def test_draws_that_differ_narrow_the_interval_and_draws_that_repeat_do_not():
    generator = np.random.default_rng(0)
    independent = generator.binomial(4, 0.4, 200) / 4
    repeated = generator.binomial(1, 0.4, 200).astype(float)
    low, high = share_interval(independent)
    least, most = share_interval(repeated)
    # Four independent draws are worth four samples: half the width.
    assert high - low == pytest.approx((most - least) / 2, rel=0.1)


def test_equal_shares_claim_no_certainty():
    assert share_interval([0.5, 0.5, 0.5]) == (None, None)
    low, high = share_interval([0.0] * 20)
    assert low == 0
    assert high > 0.1


@pytest.mark.parametrize("values", [[0.5], [0.5, 0.5, 0.5], [1 / 3, 1 - 2 / 3]])
def test_no_spread_no_interval(values):
    assert mean_interval(values) == (None, None)
    assert mean_difference_interval(values) == (None, None)


def test_a_symmetric_mean_has_students_interval():
    values = [-3.0, -1.0, 0.0, 1.0, 3.0]
    expected = stats.t.interval(0.95, 4, np.mean(values), stats.sem(values))
    assert mean_interval(values) == pytest.approx(expected)
    assert mean_difference_interval(values) == pytest.approx(expected)


def test_halls_bounds_are_where_his_transformed_statistic_is_students_quantile():
    values = np.random.default_rng(1).exponential(5.0, 30)
    error, skew = stats.sem(values), stats.skew(values) / math.sqrt(30)

    def transformed(mean):
        t = (values.mean() - mean) / error
        return t + skew * t**2 / 3 + skew**2 * t**3 / 27 + skew / 6

    low, high = mean_interval(values)
    assert transformed(low) == pytest.approx(stats.t.ppf(0.975, 29))
    assert transformed(high) == pytest.approx(-stats.t.ppf(0.975, 29))
    assert high - values.mean() > values.mean() - low


@given(shares)
def test_differences_of_shares_hold_their_mean_and_turn_with_their_sign(values):
    differences = np.array(values) - np.array(values[::-1]) / 2
    low, high = paired_share_interval(differences)
    back = paired_share_interval(-differences)
    if low is None:
        assert back == (None, None)
        return
    assert -1 <= low <= differences.mean() + 1e-9
    assert differences.mean() - 1e-9 <= high <= 1
    assert back == pytest.approx((-high, -low), abs=1e-9)


def test_whole_differences_have_tangos_own_interval():
    differences = [1.0] * 5 + [-1.0] * 2 + [0.0] * 13
    assert paired_share_interval(differences) == pytest.approx(
        paired_rate_interval(5, 2, 20), abs=1e-9
    )
    assert paired_share_interval([0.0] * 20) == pytest.approx(paired_rate_interval(0, 0, 20))


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.99])
def test_confidence_is_that_of_the_library(confidence):
    posterior = stats.beta(5.5, 15.5)
    assert rate_interval(5, 20, confidence) == pytest.approx(posterior.interval(confidence))
    values = [1.0, 2.0, 4.0, 8.0]
    assert mean_difference_interval(values, confidence) == pytest.approx(
        stats.t.interval(confidence, 3, np.mean(values), stats.sem(values))
    )


@pytest.mark.parametrize(("better", "worse", "n"), [(5, 2, 20), (0, 7, 20), (14, 1, 44), (3, 3, 9)])
def test_tango_bounds_are_where_the_score_test_turns(better, worse, n):
    # The score test once more, its restricted likelihood maximised by a general optimiser.
    def score(difference):
        def loss(lost):
            gained = lost + difference
            cells = [(better, gained), (worse, lost), (n - better - worse, 1 - lost - gained)]
            return -sum(count * math.log(max(share, 1e-12)) for count, share in cells if count)

        least, most = max(0.0, -difference), (1 - difference) / 2
        found = optimize.minimize_scalar(loss, bounds=(least, most), options={"xatol": 1e-12}).x
        variance = n * (2 * found + difference - difference**2)
        return (better - worse - n * difference) / math.sqrt(variance)

    low, high = paired_rate_interval(better, worse, n)
    assert score(low) == pytest.approx(stats.norm.ppf(0.975), abs=1e-3)
    assert score(high) == pytest.approx(-stats.norm.ppf(0.975), abs=1e-3)


@pytest.mark.parametrize("n", [1, 20, 164])
def test_unchanged_samples_do_not_claim_certainty(n):
    z2 = stats.norm.ppf(0.975) ** 2
    assert paired_rate_interval(0, 0, n) == pytest.approx((-z2 / (n + z2), z2 / (n + z2)))


@pytest.mark.parametrize("n", [20, 164])
@pytest.mark.parametrize(("rate", "base"), [(0.3, 0.3), (0.3, 0.2), (0.85, 0.85), (0.85, 0.75)])
def test_paired_rate_interval_covers_95_percent(n, rate, base):
    # Exact as well; 95 to 98 % at n = 20 and 94.7 to 95.1 % at n = 164. Half of the samples share
    # their luck with the baseline, as under equal noise, and change only as the rates demand.
    up = 0.5 * rate * (1 - base) + 0.5 * max(0.0, rate - base)
    down = 0.5 * base * (1 - rate) + 0.5 * max(0.0, base - rate)
    better, worse = np.meshgrid(np.arange(n + 1), np.arange(n + 1))
    possible = better + worse <= n
    cells = np.stack([better, worse, n - better - worse], axis=-1)[possible]
    weights = stats.multinomial.pmf(cells, n, [up, down, 1 - up - down])
    likely = weights > 1e-6
    covered = sum(
        weight
        for (gained, lost, _), weight in zip(cells[likely], weights[likely], strict=True)
        for low, high in [paired_rate_interval(int(gained), int(lost), n)]
        if low <= rate - base <= high
    )
    assert 0.93 <= covered <= 0.98
