from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats
from statsmodels.stats.contingency_tables import mcnemar

from harness.errors import ReportError
from harness.reporting import mean_interval, paired, rate_interval, summarise
from harness.reporting.statistics import paired_rate_interval


def by_id(values):
    return {f"s/{index}": float(value) for index, value in enumerate(values)}


binary = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40)
reals = st.lists(
    st.tuples(st.integers(0, 8), st.integers(0, 8)).map(lambda pair: (pair[0] / 4, pair[1] / 4)),
    min_size=1,
    max_size=25,
)
pairs = st.one_of(binary, reals)


def split(values):
    return by_id(a for a, _ in values), by_id(b for _, b in values)


def test_wilson_is_the_published_formula():
    z = stats.norm.ppf(0.975)
    rate, n = 15 / 20, 20
    centre = (rate + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(rate * (1 - rate) / n + z**2 / (4 * n**2))
    assert rate_interval(15, 20) == pytest.approx((centre - half, centre + half))


@pytest.mark.parametrize("n", [1, 20, 164])
def test_wilson_at_the_ends_has_width_and_contains_the_rate(n):
    low, high = rate_interval(0, n)
    assert low == 0
    assert 0 < high < 1
    assert rate_interval(n, n) == pytest.approx((1 - high, 1.0))
    assert rate_interval(n, n)[1] == 1.0


@pytest.mark.parametrize("n", [20, 164])
@pytest.mark.parametrize("rate", [0.3, 0.85])
def test_wilson_covers_95_percent(n, rate):
    # Exact, not simulated: all outcomes by their probability. At n = 20 outcomes are so few that
    # coverage comes in steps; it is 97.5 % and 97.8 % there, and 95.0 % and 95.2 % at n = 164.
    outcomes = np.arange(n + 1)
    covered = [low <= rate <= high for low, high in (rate_interval(k, n) for k in outcomes)]
    coverage = stats.binom.pmf(outcomes, n, rate)[covered].sum()
    assert 0.94 < coverage < 0.98


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


@pytest.mark.parametrize("n", [20, 164])
def test_mean_interval_covers_95_percent(n):
    generator = np.random.default_rng(0)
    samples = generator.binomial(4, generator.beta(4, 2, (1000, n))) / 4
    covered = np.mean([low <= 2 / 3 <= high for low, high in map(mean_interval, samples)])
    assert 0.93 <= covered <= 0.97


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


@given(binary)
def test_mcnemar_is_that_of_statsmodels(values):
    case, baseline = split(values)
    table = np.zeros((2, 2))
    for a, b in values:
        table[int(a), int(b)] += 1
    versus = paired(case, baseline)
    with warnings.catch_warnings():
        # statsmodels divides by zero where nothing changed; its p is NaN or 1 there.
        warnings.simplefilter("ignore")
        expected = mcnemar(table, exact=True).pvalue if versus.better + versus.worse else 1.0
    assert versus.test == "mcnemar_exact"
    assert versus.p == pytest.approx(expected)


@settings(deadline=None, max_examples=60)
@given(pairs)
def test_swapping_turns_the_sign_and_nothing_else(values):
    case, baseline = split(values)
    there, back = paired(case, baseline), paired(baseline, case)
    assert there.delta == pytest.approx(-back.delta)
    assert there.p == pytest.approx(back.p)
    assert (there.better, there.worse) == (back.worse, back.better)
    assert there.unchanged == back.unchanged
    if there.ci_low is not None:
        assert (there.ci_low, there.ci_high) == pytest.approx((-back.ci_high, -back.ci_low))


@settings(deadline=None, max_examples=60)
@given(pairs)
def test_the_interval_contains_delta_and_the_counts_add_up(values):
    versus = paired(*split(values))
    assert versus.better + versus.worse + versus.unchanged == len(values)
    assert 0 < versus.p <= 1
    if versus.ci_low is not None:
        assert versus.ci_low - 1e-9 <= versus.delta <= versus.ci_high + 1e-9


@settings(deadline=None, max_examples=60)
@given(pairs, st.randoms())
def test_order_of_samples_is_irrelevant(values, random):
    case, baseline = split(values)
    shuffled = list(case)
    random.shuffle(shuffled)
    again = {sample: case[sample] for sample in shuffled}
    assert paired(again, baseline) == paired(case, baseline)
    assert summarise(again) == summarise(case)


@given(pairs)
def test_a_metric_lies_in_its_interval(values):
    case, _ = split(values)
    metric = summarise(case)
    assert metric.n == len(values)
    assert metric.value == pytest.approx(np.mean(list(case.values())))
    if metric.ci_low is not None:
        assert metric.ci_low <= metric.value <= metric.ci_high
        if max(case.values()) <= 1:
            assert metric.ci_low >= 0
            assert metric.ci_high <= 1


def test_zeros_and_ones_get_wilson_and_other_values_get_student():
    assert summarise(by_id([1, 0, 1, 1])).ci_high == pytest.approx(rate_interval(3, 4)[1])
    values = [12.0, 15.0, 9.5, 11.0]
    low, high = stats.t.interval(0.95, 3, np.mean(values), stats.sem(values))
    metric = summarise(by_id(values))
    assert (metric.ci_low, metric.ci_high) == pytest.approx((low, high))


@pytest.mark.parametrize("values", [[0.5], [0.5, 0.5, 0.5], [1 / 3, 1 - 2 / 3]])
def test_no_spread_no_interval(values):
    assert mean_interval(values) == (None, None)
    assert summarise(by_id(values)).ci_low is None


def test_sign_flip_is_exact_for_few_samples():
    # All 2**5 signs of five equal differences: 2 are as extreme as the observed.
    versus = paired(by_id([0.5, 0.6, 0.7, 0.8, 0.9]), by_id([0.25, 0.35, 0.45, 0.55, 0.65]))
    assert versus.test == "sign_flip"
    assert versus.p == pytest.approx(2 / 32)


def test_one_sample_proves_nothing():
    assert paired({"a": 0.5}, {"a": 0.25}).p == 1.0


def test_sign_flip_agrees_with_student_on_many_samples():
    generator = np.random.default_rng(0)
    base = generator.normal(size=200)
    case = base + generator.normal(0.13, 1.0, size=200)
    versus = paired(by_id(case), by_id(base))
    expected = stats.ttest_rel(case, base)
    assert versus.p == pytest.approx(expected.pvalue, abs=0.02)
    assert (versus.ci_low, versus.ci_high) == pytest.approx(expected.confidence_interval(0.95))
    assert versus == paired(by_id(case), by_id(base))


@given(binary.filter(lambda values: len(values) > 1))
def test_samples_without_a_partner_are_refused(values):
    case, baseline = split(values)
    missing = baseline.popitem()[0]
    with pytest.raises(ReportError, match=missing):
        paired(case, baseline)


def test_no_shared_sample_is_refused():
    with pytest.raises(ReportError, match=r"2 samples have no partner, such as 'a'; 0 are shared"):
        paired({"a": 1.0}, {"b": 1.0})


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_values_that_are_not_finite_are_refused(value):
    with pytest.raises(ReportError, match="'b' has the value"):
        summarise({"a": 1.0, "b": value})
    with pytest.raises(ReportError, match="'b' has the value"):
        paired({"a": 1.0, "b": 1.0}, {"a": 1.0, "b": value})


def test_no_samples_are_refused():
    with pytest.raises(ReportError, match="no samples"):
        summarise({})
    with pytest.raises(ReportError, match="no samples"):
        paired({}, {})
