"""The interval of relevance against simulated judges, each with a bias of its own."""

from __future__ import annotations

import numpy as np
import pytest

from harness.metrics.weighted import weighted_share
from harness.statistics.crossed import crossed_interval, seeds_interval, weighted_crossed_interval
from harness.statistics.intervals import mean_difference_interval, rate_interval

RUNS, RATERS = 150, 3


def judged(random, tokens, bias, mean=-1.0, spread=2.0):
    """Ratings [tokens, raters] of a logistic model in which tokens differ, and judges do."""
    logits = mean + random.normal(0, spread, (tokens, 1)) + random.normal(0, bias, (1, RATERS))
    return (random.random((tokens, RATERS)) < 1 / (1 + np.exp(-logits))).astype(float)


def truth(bias, mean=-1.0, spread=2.0):
    """The share that all judges find in all tokens."""
    logits = mean + np.random.default_rng(1).normal(0, np.hypot(spread, bias), 200_000)
    return float((1 / (1 + np.exp(-logits))).mean())


@pytest.mark.parametrize(("tokens", "bias"), [(20, 0.0), (40, 0.5), (100, 1.0)])
def test_biased_judges_are_in_the_interval(tokens, bias):
    random, share = np.random.default_rng(7), truth(bias)
    intervals = [crossed_interval(judged(random, tokens, bias).tolist()) for _ in range(RUNS)]
    held = sum(low <= share <= high for low, high in intervals)
    assert held >= 0.9 * RUNS  # 95 % less two standard deviations of so few runs


def test_judges_that_differ_make_it_wider():
    """Tokens alone, without the judges, would be far too sure."""
    random = np.random.default_rng(3)
    widths = [
        np.mean([np.diff(crossed_interval(judged(random, 60, bias).tolist())) for _ in range(40)])
        for bias in (0.0, 1.0)
    ]
    assert widths[1] > 1.5 * widths[0]


def test_one_rater_is_a_rate_and_so_are_raters_who_never_differ():
    assert crossed_interval([[1.0], [0.0], [0.0], [1.0]]) == rate_interval(2, 4)
    for value in (0.0, 1.0):
        assert crossed_interval([[value] * 3] * 10) == rate_interval(round(10 * value), 10)


def weighted(ratings, weights):
    """Each token's ratings times its weight, then the weight."""
    return np.column_stack([ratings * weights[:, None], weights]).tolist()


@pytest.mark.parametrize(("tokens", "bias"), [(20, 0.0), (40, 0.5), (100, 1.0)])
def test_biased_judges_are_in_the_interval_of_weights(tokens, bias):
    random, share = np.random.default_rng(11), truth(bias)
    held = 0
    for _ in range(RUNS):
        table = weighted(judged(random, tokens, bias), random.exponential(size=tokens))
        low, high = weighted_crossed_interval(table)
        held += low <= share <= high
    assert held >= 0.9 * RUNS


def test_equal_weights_are_none():
    ratings = judged(np.random.default_rng(5), 30, 1.0)
    table = weighted(ratings, np.full(30, 0.25))
    assert weighted_share(table) == pytest.approx(ratings.mean())
    assert weighted_crossed_interval(table) == pytest.approx(crossed_interval(ratings.tolist()))


def test_what_no_rater_differs_on_and_one_rater():
    weights = np.random.default_rng(2).exponential(size=12)
    for value in (0.0, 1.0):
        low, high = weighted_crossed_interval(weighted(np.full((12, 3), value), weights))
        assert low <= value <= high
        assert high - low > 0.1
    alone = judged(np.random.default_rng(3), 12, 0.0)[:, :1]
    (low, high), (least, most) = (
        weighted_crossed_interval(weighted(alone, each)) for each in (weights, np.ones(12))
    )
    assert 0 < low < weighted_share(weighted(alone, weights)) < high < 1
    assert high - low > most - least  # of unequal weights few count
    assert weighted_crossed_interval([[0.0, 0.0, 0.0]] * 5) == (None, None)  # no weight
    assert weighted_crossed_interval([[0.5, 0.5], [0.0, 0.0]]) == (None, None)  # of one token


def test_raters_that_seeds_share_are_in_their_interval():
    """Seeds whose values agree say nothing of other judges."""
    values, wide = [0.5, 0.52, 0.48, 0.5, 0.51], [(0.2, 0.8)] * 5
    low, high = seeds_interval(values, wide)
    assert low < 0.25
    assert high > 0.75
    narrow = [(value - 0.01, value + 0.01) for value in values]
    assert seeds_interval(values, narrow) == pytest.approx(mean_difference_interval(values))
    assert seeds_interval(values, [*wide[1:], (None, None)]) == (None, None)
    assert seeds_interval([0.5], [(0.2, 0.8)]) == (None, None)
