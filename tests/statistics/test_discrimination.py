"""Areas under ROC curves over positions of samples, alone and against each other."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from harness.statistics.discrimination import Discrimination


def drawn(samples: int, seed: int = 0):
    rng = np.random.default_rng(seed)
    first = [rng.random(rng.integers(3, 9)) < 0.3 for _ in range(samples)]
    good = [np.round(rng.normal(size=len(each)) + 1.5 * each, 1) for each in first]
    noise = [rng.normal(size=len(each)) for each in first]
    return {"good": good, "against": [-each for each in good], "noise": noise}, first


def test_the_area_is_that_of_all_positions():
    numbers, first = drawn(30)
    found = Discrimination(numbers, first)
    for name, values in numbers.items():
        expected = roc_auc_score(np.concatenate(first), np.concatenate(values))
        assert found.area(name).value == pytest.approx(expected)
        assert found.area(name).low < expected < found.area(name).high
    assert found.area("good").value == pytest.approx(1 - found.area("against").value)


def test_what_points_the_other_way_tells_as_much_and_noise_less():
    found = Discrimination(*drawn(60))
    same = found.lead("good", "against")
    assert (same.value, same.low, same.high) == pytest.approx((0, 0, 0), abs=1e-9)
    assert found.best() in ("good", "against")
    assert found.lead("noise", "good").high < 0


def test_the_difference_is_paired():
    numbers, first = drawn(40)
    shifted = [each + 0.01 * at for at, each in enumerate(numbers["good"])]
    found = Discrimination({"good": numbers["good"], "near": shifted}, first)
    alone, lead = found.area("good"), found.lead("near", "good")
    assert lead.high - lead.low < 0.7 * (alone.high - alone.low)


def test_intervals_hold_the_truth():
    from scipy.stats import norm

    truth = norm.cdf(1.5 / np.sqrt(2))
    held = 0
    for seed in range(60):
        numbers, first = drawn(40, seed)
        area = Discrimination({"good": numbers["good"]}, first).area("good")
        held += area.low <= truth <= area.high
    assert held / 60 >= 0.85


def test_one_kind_alone_tells_nothing():
    assert not Discrimination({"a": [[1.0, 2.0]]}, [[True, True]]).is_known
