from __future__ import annotations

import gc
import math
import warnings
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from harness.errors import ReportError
from harness.metrics.lookup import SCORE
from harness.statistics.intervals import mean_interval, rate_interval, share_interval
from harness.statistics.paired import _sign_flip, holm, paired, paired_interval, summarise
from harness.statistics.power import detectable_mean_difference, detectable_rate_difference


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


def test_values_get_the_interval_of_their_kind():
    rate = summarise(by_id([1, 0, 1, 1]))
    assert (rate.method, rate.ci_low, rate.ci_high) == ("jeffreys", *rate_interval(3, 4))
    shares = [1, 0.5, 0.25, 1]
    share = summarise(by_id(shares))
    assert (share.method, share.ci_low, share.ci_high) == (
        "wilson_effective",
        *share_interval(shares),
    )
    lengths = [12.0, 15.0, 9.5, 11.0]
    length = summarise(by_id(lengths))
    assert (length.method, length.ci_low, length.ci_high) == ("t_hall", *mean_interval(lengths))


@settings(max_examples=40)
@given(st.lists(st.integers(-4, 4), min_size=2, max_size=12))
def test_sign_flip_is_scipys(differences):
    changed = np.array([each for each in differences if each], dtype=float)
    if len(changed) < 2:
        assert _sign_flip(np.array(differences, dtype=float)) == 1.0
        return
    expected = stats.permutation_test(
        (changed,), np.mean, permutation_type="samples", n_resamples=5000, vectorized=False
    )
    assert _sign_flip(np.array(differences, dtype=float)) == pytest.approx(
        min(expected.pvalue, 1.0)
    )


def test_drawn_sign_flips_agree_with_scipys():
    differences = np.random.default_rng(3).normal(0.3, 1, 40)
    expected = stats.permutation_test(
        (differences,), np.mean, permutation_type="samples", n_resamples=20000, rng=1
    )
    assert _sign_flip(differences) == pytest.approx(expected.pvalue, abs=0.012)


@given(st.lists(st.floats(0.0001, 1), min_size=1, max_size=12))
def test_holm_is_that_of_statsmodels_and_never_below_p(ps):
    corrected = holm(ps)
    gc.freeze()  # statsmodels collects all garbage on every call, a second beside torch's objects
    expected = multipletests(ps, method="holm")[1]
    assert corrected == pytest.approx(expected)
    assert all(after >= before for after, before in zip(corrected, ps, strict=True))
    assert max(corrected) <= 1


@pytest.mark.parametrize("p", [math.nan, -0.1, 1.5, math.inf])
def test_holm_refuses_what_is_no_probability(p):
    """It would be sorted somewhere, and count as a member of the family."""
    with pytest.raises(ReportError, match=rf"p-value 2 of 3 is {p}; they lie between 0 and 1"):
        holm([0.01, p, 0.03])


def test_holm_by_hand_and_of_nothing():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == []


def test_the_minimal_effect_is_that_of_the_test_in_use():
    case, baseline = by_id([1] * 12 + [0] * 8), by_id([1] * 15 + [0] * 5)
    assert paired(case, baseline).minimal_effect == detectable_rate_difference(20, 3)
    shares = by_id([0.5] * 12 + [0.25] * 8)
    differences = np.array(
        [shares[sample] - baseline[sample] for sample in shares], dtype=np.float64
    )
    assert paired(shares, baseline).minimal_effect == detectable_mean_difference(differences)


def test_no_minimal_effect_is_larger_than_what_a_metric_can_change_by():
    """Two samples of several draws that changed apart: a t test would find a difference of 2.05."""
    case, baseline = by_id([0.75, 0.5]), by_id([0.5, 0.75])
    assert detectable_mean_difference(np.array([0.25, -0.25])) > 1
    assert paired(case, baseline).minimal_effect is None
    unbounded = replace(SCORE, bounds=(None, None), kind="score")
    assert paired(case, baseline, unbounded).minimal_effect > 1


@given(pairs)
def test_an_interval_grows_with_its_confidence(values):
    case, baseline = split(values)
    narrow, wide = (paired_interval(case, baseline, each) for each in (0.9, 0.99))
    assert (narrow[0] is None) == (wide[0] is None)
    if narrow[0] is not None:
        assert wide[0] <= narrow[0] + 1e-9
        assert wide[1] >= narrow[1] - 1e-9
