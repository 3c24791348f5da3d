"""Promises: the test is the exact one where that is known, and the sequence ends at a failure."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from harness.statistics.promise import ALPHA, at_least, excess, mean_p, recovered, shown
from tests.statistics.simulated_promises import kept


@given(st.integers(1, 80), st.data())
@settings(max_examples=60, deadline=None)
def test_of_two_values_it_is_the_exact_binomial_test(n, data):
    ups = data.draw(st.integers(1, n))
    values = np.array([1.0] * ups + [-1.0] * (n - ups))
    assert mean_p(values) == pytest.approx(binom.sf(ups - 1, n, 0.5), abs=1e-6)


@given(st.lists(st.sampled_from([-1, -0.7, -0.3, 0, 0.3, 0.7, 1]), min_size=2, max_size=60))
@settings(max_examples=60, deadline=None)
def test_it_is_the_chance_of_a_weighted_mean_below_nothing(values):
    rng = np.random.default_rng(0)
    drawn = rng.dirichlet(np.ones(len(values) + 1), 20_000) @ np.array([*values, -1.0])
    assert mean_p(np.array(values, dtype=float)) == pytest.approx((drawn <= 0).mean(), abs=0.02)


def test_more_of_the_gap_is_harder_to_show():
    rng = np.random.default_rng(1)
    weak = rng.random(300) < 0.3
    strong = weak | (rng.random(300) < 0.6)
    right = np.where(rng.random(300) < 0.7, strong, weak)
    right, weak, strong = (each.astype(float) for each in (right, weak, strong))
    found = [mean_p(excess(right, weak, strong, aim)) for aim in (0.3, 0.5, 0.65, 0.9)]
    assert found == sorted(found)
    assert found[0] < ALPHA < found[-1]
    most = at_least(right, weak, strong)
    assert mean_p(excess(right, weak, strong, most)) <= ALPHA
    assert mean_p(excess(right, weak, strong, most + 2e-3)) > ALPHA
    assert most < recovered(right, weak, strong) == pytest.approx(0.7, abs=0.15)


def test_the_first_that_fails_ends_it_and_the_next_is_not_asked_for():
    weak, strong = np.zeros(60), np.ones(60)
    asked = []

    def conditions():
        for share in (1.0, 0.9, 0.2, 1.0):
            asked.append(share)
            yield share, (np.arange(60) < 60 * share).astype(float)

    assert [each for each, _ in shown(conditions(), weak, strong, 0.5)] == [1.0, 0.9]
    assert asked == [1.0, 0.9, 0.2]


def test_without_a_gap_nothing_is_shown():
    same = np.tile([0.0, 1.0], 30)
    assert list(shown([("all", same)], same, same, 0.5)) == []


@pytest.mark.parametrize(("ladder", "size"), [("steps", 400), ("cliff", 200)])
def test_promises_are_kept_and_not_refused_for_nothing(ladder, size):
    held, by_the_unseen, refused = kept("zoo", 0.8, ladder, size, splits=200)
    assert held >= 0.95
    assert by_the_unseen >= 0.93  # of 200 splits
    assert refused <= 0.25
