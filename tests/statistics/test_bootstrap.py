"""Identities of the bootstrap, and that what it replaces is refused by name."""

from __future__ import annotations

from statistics import fmean, median

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from harness.errors import ReportError
from harness.metrics.diff import METRICS as DIFF
from harness.metrics.entry import MetricEntry
from harness.metrics.kind import entry_of
from harness.statistics.bootstrap import DRAWS, LEAST_P, aggregate_interval, paired_bootstrap
from harness.statistics.paired import paired, paired_interval, summarise

MEAN = MetricEntry("mean", "the mean, as an aggregate", aggregate=fmean)
MEDIAN_TOKENS, PERPLEXITY = entry_of("median_tokens"), entry_of("answer_perplexity")
PLAIN = MetricEntry("plain", "the mean, as the mean")


def lengths(n, seed, shift=0.0):
    drawn = np.random.default_rng(seed).gamma(4, 20, n) + shift
    return {f"s/{index}": float(value) for index, value in enumerate(drawn)}


def test_of_a_mean_it_agrees_with_students_within_monte_carlo_error():
    values = list(lengths(400, 1).values())
    low, high = aggregate_interval(values, fmean)
    exact = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    # A quantile of the drawn means is known to a few hundredths of their spread.
    allowed = 0.15 * stats.sem(values)
    assert (low, high) == pytest.approx((exact.low, exact.high), abs=allowed)


def test_of_a_mean_difference_it_agrees_with_the_paired_interval_and_its_p():
    one, other = lengths(400, 1, shift=2.5), lengths(400, 2)
    drawn, exact = paired(one, other, MEAN), paired(one, other, PLAIN)
    assert drawn.delta == pytest.approx(exact.delta)
    allowed = 0.15 * (exact.ci_high - exact.ci_low) / 3.92
    assert (drawn.ci_low, drawn.ci_high) == pytest.approx(
        (exact.ci_low, exact.ci_high), abs=allowed
    )
    assert drawn.p == pytest.approx(exact.p, abs=0.03)
    assert (drawn.better, drawn.worse) == (exact.better, exact.worse)


@pytest.mark.parametrize("name", ["relevance", "weighted_relevance"])
def test_an_additive_aggregate_is_drawn_alike_from_means(name):
    """The same draws, looked at once each: intervals and p are those of whole draws."""
    (entry,) = (each for each in DIFF if each.name == name)
    random = np.random.default_rng(4)
    weights = random.exponential(size=(40, 1))
    one, other = (
        np.hstack([(random.random((40, 3)) < share) * weights, weights]).tolist()
        for share in (0.4, 0.3)
    )
    (low, high), (least, most) = (
        aggregate_interval(one, entry.of, additive=additive) for additive in (False, True)
    )
    assert (least, most) == pytest.approx((low, high))
    slow, quick = (
        paired_bootstrap(one, other, entry.of, additive=additive) for additive in (False, True)
    )
    assert quick.p == slow.p
    assert quick.interval == pytest.approx(slow.interval)


@settings(max_examples=10, deadline=None)
@given(st.lists(st.integers(0, 50), min_size=1, max_size=30))
def test_equal_sides_differ_by_exactly_nothing(values):
    same = {f"s/{index}": value for index, value in enumerate(values)}
    versus = paired(same, dict(same), MEDIAN_TOKENS)
    assert (versus.delta, versus.p, versus.ci_low, versus.ci_high) == (0, 1, None, None)
    assert (versus.better, versus.worse, versus.unchanged) == (0, 0, len(values))


@settings(max_examples=10, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=3, max_size=20))
def test_what_changes_sides_changes_sign(pairs):
    one, other = ([side[at] for side in pairs] for at in (0, 1))
    there, back = paired_bootstrap(one, other, median), paired_bootstrap(other, one, median)
    assert back.delta == -there.delta
    assert back.p == there.p
    if there.interval[0] is not None:
        assert back.interval == pytest.approx((-there.interval[1], -there.interval[0]))


def test_interval_and_p_never_disagree():
    for seed in range(12):
        versus = paired(lengths(40, seed, shift=14), lengths(40, seed + 100), MEDIAN_TOKENS)
        assert (versus.p < 0.05) == (versus.ci_low > 0 or versus.ci_high < 0), seed


@pytest.mark.parametrize("n", [1, 2, 5, 8])
def test_few_samples_convince_no_more_than_by_all_changing_one_way(n):
    one = {f"s/{index}": 10.0 + index for index in range(n)}
    other = {sample: value - 9 for sample, value in one.items()}
    assert paired(one, other, MEDIAN_TOKENS).p == 2.0 ** (1 - n)


def test_the_same_values_give_the_same_numbers_in_any_order_of_samples():
    one, other = lengths(30, 1), lengths(30, 2)
    turned = dict(reversed(one.items()))
    assert paired(turned, other, MEDIAN_TOKENS) == paired(one, other, MEDIAN_TOKENS)
    assert summarise(turned, MEDIAN_TOKENS) == summarise(one, MEDIAN_TOKENS)


def test_both_sides_are_drawn_together():
    """A shift of every sample by the same is known exactly, however much samples differ."""
    one = lengths(50, 1)
    other = {sample: value - 3 for sample, value in one.items()}
    low, high = paired_interval(one, other, 0.95, MEDIAN_TOKENS)
    assert (low, high) == (None, None) or (low, high) == pytest.approx((3, 3), abs=1e-9)
    assert paired(one, other, MEDIAN_TOKENS).p == LEAST_P == 2 / (DRAWS + 1)


def test_values_may_be_json_that_the_aggregate_reads():
    values = {"a": [2.0, 4], "b": [9.0, 3], "c": [0, 0]}
    metric = summarise(values, PERPLEXITY)
    assert metric.value == pytest.approx(np.exp(11 / 7))
    assert (metric.n, metric.method) == (3, "bootstrap")
    assert metric.ci_low < metric.value < metric.ci_high
    surer = {**values, "b": [3.0, 3]}
    versus = paired(surer, values, PERPLEXITY)
    assert versus.delta == pytest.approx(np.exp(5 / 7) - np.exp(11 / 7))
    assert (versus.better, versus.worse, versus.unchanged) == (0, 1, 2)
    assert versus.minimal_effect is None


def test_a_test_of_single_samples_is_refused_by_name():
    one, other = lengths(10, 1), lengths(10, 2)
    for test in ("mcnemar_exact", "sign_flip"):
        told = f"^{test}: compares sample by sample, but median_tokens is not a mean over samples"
        with pytest.raises(ReportError, match=told):
            paired(one, other, MEDIAN_TOKENS, test)
    assert paired(one, other, MEDIAN_TOKENS, "paired_bootstrap").test == "paired_bootstrap"
    with pytest.raises(ReportError, match=r"^paired_bootstrap: plain is a mean over samples"):
        paired(one, other, PLAIN, "paired_bootstrap")
    with pytest.raises(ReportError, match=r"^mcnemar_exact: not all values of plain are 0 or 1"):
        paired(one, other, PLAIN, "mcnemar_exact")


def test_values_without_their_metric_are_refused():
    with pytest.raises(ReportError, match="which has no mean; register its metric"):
        summarise({"a": [1, 2]}, PLAIN)


@pytest.mark.parametrize("aggregate", [lambda values: float("nan"), lambda values: 1 / 0.0])
def test_an_aggregate_that_is_not_finite_is_refused(aggregate):
    entry = MetricEntry("odd", "never a number", aggregate=aggregate)
    with pytest.raises((ReportError, ZeroDivisionError)):
        summarise(lengths(5, 1), entry)


@pytest.mark.slow
@pytest.mark.parametrize("n", [20, 164])
def test_coverage_of_a_median_and_of_its_difference(n):
    """200 runs each: a standard error of 1.5 points around 95."""
    runs, held, difference_held, alarms = 200, 0, 0, 0
    truth = float(stats.gamma(4, scale=20).median())
    for seed in range(runs):
        one, other = lengths(n, 2 * seed), lengths(n, 2 * seed + 1)
        metric, versus = summarise(one, MEDIAN_TOKENS), paired(one, other, MEDIAN_TOKENS)
        held += metric.ci_low <= truth <= metric.ci_high
        difference_held += versus.ci_low <= 0 <= versus.ci_high
        alarms += versus.p < 0.05
    assert 0.90 <= held / runs <= 0.99
    assert 0.91 <= difference_held / runs <= 1.0
    assert alarms / runs <= 0.09
