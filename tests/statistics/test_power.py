from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.power import TTestPower

from harness.statistics.power import (
    detectable_mean_difference,
    detectable_rate_difference,
    rate_power,
)


@pytest.mark.parametrize(
    ("n", "discordance", "difference"), [(20, 0.5, 0.4), (164, 0.3, 0.1), (60, 0.2, 0.2)]
)
def test_power_is_how_often_the_test_rejects(n, discordance, difference):
    generator = np.random.default_rng(0)
    up, down = (discordance + difference) / 2, (discordance - difference) / 2
    runs = generator.multinomial(n, [up, down, 1 - discordance], 4000)
    rejected = [
        better + worse > 0 and stats.binomtest(int(better), int(better + worse)).pvalue < 0.05
        for better, worse, _ in runs
    ]
    assert rate_power(n, discordance, difference) == pytest.approx(np.mean(rejected), abs=0.02)


def test_without_an_effect_the_exact_test_stays_below_its_level():
    assert all(rate_power(n, 0.3, 0.0) <= 0.05 for n in (6, 20, 164, 1319))


@given(st.integers(10, 400), st.data())
def test_the_detectable_difference_has_the_power(n, data):
    discordant = data.draw(st.integers(0, n))
    effect = detectable_rate_difference(n, discordant)
    seen = max(discordant / n, effect)
    assert 0 < effect <= 1
    assert rate_power(n, seen, effect) == pytest.approx(0.8, abs=1e-3)


@pytest.mark.parametrize(("n", "discordant"), [(164, 40), (1319, 300), (5000, 1000)])
def test_many_samples_need_what_connors_formula_says(n, discordant):
    effect, share = detectable_rate_difference(n, discordant), discordant / n
    spread = stats.norm.ppf(0.975) * share**0.5 + stats.norm.ppf(0.8) * (share - effect**2) ** 0.5
    needed = (spread / effect) ** 2
    assert needed == pytest.approx(n, rel=0.08)
    assert needed < n  # the exact test is conservative


def test_more_samples_find_less_and_five_find_nothing():
    effects = [detectable_rate_difference(n, n // 4) for n in (8, 20, 164, 1319)]
    assert effects == sorted(effects, reverse=True)
    # Five changes in one direction have p = 1/16.
    assert detectable_rate_difference(5, 5) is None
    assert detectable_rate_difference(6, 0) is not None


def test_nothing_changed_needs_six_one_sided_changes_with_80_percent():
    effect = detectable_rate_difference(164, 0)
    assert stats.binom.sf(5, 164, effect) == pytest.approx(0.8, abs=1e-3)


@pytest.mark.parametrize("n", [3, 4, 5, 8, 20, 50, 164, 1319, 20_000])
def test_the_effect_of_a_mean_has_the_power_that_statsmodels_gives_it(n):
    differences = np.linspace(-1.0, 1.0, n)
    effect = detectable_mean_difference(differences) / differences.std(ddof=1)
    assert TTestPower().power(effect, n, 0.05) == pytest.approx(0.8, abs=1e-12)
    # Its own search ends where the power is right to a hundred-thousandth.
    assert effect == pytest.approx(
        TTestPower().solve_power(nobs=n, alpha=0.05, power=0.8), rel=1e-4
    )


def test_two_samples_have_an_effect_too():
    effect = detectable_mean_difference(np.array([-1.0, 1.0])) / np.sqrt(2)
    found = stats.ttest_1samp(
        np.random.default_rng(0).normal(effect, 1.0, (20_000, 2)), 0.0, axis=1
    ).pvalue
    assert np.mean(found < 0.05) == pytest.approx(0.8, abs=0.01)


def test_without_spread_there_is_nothing_to_go_by():
    assert detectable_mean_difference(np.array([0.5, 0.5])) is None
    assert detectable_mean_difference(np.array([0.5])) is None
