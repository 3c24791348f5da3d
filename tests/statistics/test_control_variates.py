"""Control variates: unbiased, narrower where a neighbour says much, no worse where it does not."""

from __future__ import annotations

import numpy as np
import pytest

from harness.statistics.control_variates import adjusted_mean


def drawn(rng, correlation, size=400, n=80):
    other = rng.normal(size=size)
    own = correlation * other + np.sqrt(1 - correlation**2) * rng.normal(size=size)
    return own.mean(), adjusted_mean(own[:n], other[:, None])


@pytest.mark.parametrize(("correlation", "least"), [(0.0, 0.85), (0.95, 2.5)])
def test_intervals_hold_the_mean_and_samples_are_worth_more(correlation, least):
    rng = np.random.default_rng(0)
    found = [drawn(rng, correlation) for _ in range(400)]
    assert 0.92 <= np.mean([each.low <= mean <= each.high for mean, each in found]) <= 0.98
    assert np.median([each.worth for _, each in found]) > least


def test_what_a_neighbour_knows_entirely_is_known():
    rng = np.random.default_rng(1)
    other = rng.normal(size=(200, 1))
    found = adjusted_mean(other[:50, 0] + 3, other)
    assert found.mean == pytest.approx(other.mean() + 3)
    assert found.high - found.low < 1e-6


def test_too_few_samples_are_refused():
    with pytest.raises(ValueError, match="too few for 5 folds"):
        adjusted_mean(np.zeros(9), np.zeros((20, 1)))
