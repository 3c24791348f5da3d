from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from harness.errors import TaskError
from harness.measure.probes import auc, probe_layer


def sides(distance, pairs=60, width=12, seed=0):
    """States of pairs that lie so far apart along one direction, around a place of their own."""
    random = np.random.default_rng(seed)
    centres = 3 * random.standard_normal((pairs, width))
    noise = random.standard_normal((2, pairs, width))
    direction = np.eye(width)[0]
    return centres + noise[0] + distance * direction, centres + noise[1] - distance * direction


scores = st.lists(st.integers(-3, 3).map(float), min_size=1, max_size=12)


@given(scores, scores)
def test_the_area_is_scikit_learns(positive, negative):
    labels = [1] * len(positive) + [0] * len(negative)
    assert auc(positive, negative) == pytest.approx(roc_auc_score(labels, positive + negative))


def test_a_difference_is_found_and_shuffled_labels_are_not():
    found = probe_layer(3, *sides(20.0))
    assert found.layer == 3
    assert found.probe.auc == 1.0
    assert found.control.ci_low < 0.5 < found.control.ci_high
    assert found.selectivity == found.probe.auc - found.control.auc


def test_a_control_below_chance_is_said_to_be_at_fault():
    """Pairs too few for a control: selectivity would exceed what a perfect probe can have."""
    found = [probe_layer(0, *sides(20.0, pairs=10, seed=seed)) for seed in range(12)]
    assert {each.below_chance for each in found} == {True, False}
    assert all(each.below_chance == (each.selectivity > 0.5) for each in found)


def test_no_difference_is_none():
    found = probe_layer(0, *sides(0.0))
    assert found.probe.ci_low < 0.5 < found.probe.ci_high


def test_a_weak_difference_has_an_interval_around_it():
    found = probe_layer(0, *sides(1.5)).probe
    assert found.ci_low < found.auc < found.ci_high
    assert found.ci_low > 0.5


def test_what_tells_pairs_but_not_sides_is_not_rewarded():
    """A probe that saw one side of a pair could know the other by its place: folds hold both."""
    random = np.random.default_rng(1)
    centres = 50 * random.standard_normal((40, 30))
    found = probe_layer(0, centres + 1e-3 * random.standard_normal((40, 30)), centres)
    assert found.probe.ci_low <= 0.5 <= found.probe.ci_high


def test_the_same_seed_is_the_same_probe_and_order_of_pairs_is_only_the_folds():
    positive, negative = sides(1.0)
    assert probe_layer(0, positive, negative) == probe_layer(0, positive, negative)
    assert probe_layer(0, positive, negative, seed=1) != probe_layer(0, positive, negative)


def test_exchanging_the_sides_changes_nothing():
    positive, negative = sides(1.0)
    one, other = probe_layer(0, positive, negative), probe_layer(0, negative, positive)
    assert one.probe.auc == pytest.approx(other.probe.auc, abs=1e-6)


def test_too_few_pairs_are_refused():
    with pytest.raises(TaskError, match="4 pairs for 5 folds; use more pairs, or fewer folds"):
        probe_layer(0, *sides(1.0, pairs=4))
