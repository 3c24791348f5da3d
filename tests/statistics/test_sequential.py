"""Anytime evidence: closed forms, false alarms at any moment, exactness at a benchmark's end."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.metrics.lookup import SCORE
from harness.statistics.sequential import (
    anytime_p,
    chance_to_decide,
    compare_anytime,
    growth,
    log_evidence,
    mean_sequence,
    sample_numbers,
    summarise_anytime,
)

CHANGES = st.lists(st.sampled_from([-1.0, 0.0, 1.0]), max_size=60)


@given(CHANGES)
def test_the_bet_is_krichevskys_and_trofimovs(changes):
    capital, losses, seen = 1.0, 0, 0
    for change in changes:
        if change:
            bet = (losses + 0.5) / (seen + 1)
            capital *= (bet if change < 0 else 1 - bet) / 0.5
            losses += change < 0
            seen += 1
    found = log_evidence(np.array(changes), binary=True)
    assert found[-1] == pytest.approx(math.log(capital), abs=1e-9)
    assert len(found) == len(changes) + 1


@given(CHANGES, st.booleans())
def test_p_never_rises_and_samples_that_do_not_change_say_nothing(changes, binary):
    ps = [anytime_p(np.array(changes[:at]), binary=binary) for at in range(len(changes) + 1)]
    assert ps[0] == 1
    assert all(later <= earlier for earlier, later in pairwise(ps))
    if binary:
        without = np.array([change for change in changes if change])
        assert anytime_p(without, binary=True) == pytest.approx(ps[-1])


@pytest.mark.parametrize("binary", [True, False])
def test_looking_after_every_sample_cries_wolf_in_few_runs(binary):
    rng = np.random.default_rng(0)
    changes = rng.choice([-1.0, 0.0, 1.0], p=[0.15, 0.7, 0.15], size=(400, 200))
    scale = 1.0 if binary else 0.4
    alarms = sum(anytime_p(each * scale, binary=binary) < 0.05 for each in changes)
    assert alarms <= 0.05 * 400


@given(st.lists(st.sampled_from([0.0, 1.0]), min_size=1, max_size=40), st.integers(0, 30))
def test_an_interval_holds_its_mean_and_a_finite_benchmark_is_known_better(values, more):
    data = np.array(values)
    low, high = mean_sequence(data, (0, 1))
    first, last = mean_sequence(data, (0, 1), size=len(data) + more)
    assert low <= data.mean() <= high
    assert first >= data.sum() / (len(data) + more) - 1e-12
    assert last <= (data.sum() + more) / (len(data) + more) + 1e-12
    if not more:
        assert first == pytest.approx(data.mean())
        assert last == pytest.approx(data.mean())


def test_intervals_hold_the_truth_at_every_moment():
    rng = np.random.default_rng(1)
    benchmark = (np.arange(100) < 70).astype(float)
    missed = np.zeros(2)
    for _ in range(60):
        drawn = rng.permutation(benchmark)
        for at, size in enumerate((None, 100)):
            bounds = [mean_sequence(drawn[:seen], (0, 1), size=size) for seen in (8, 32, 64, 96)]
            missed[at] += any(not low <= 0.7 <= high for low, high in bounds)
    assert (missed <= 0.05 * 60).all()


def test_what_has_no_bounds_has_no_interval_and_no_p():
    loss = replace(SCORE, name="loss", kind="loss", good="lower", bounds=(0, None))
    own, other = {"a": 1.5, "b": 2.0}, {"a": 1.0, "b": 2.5}
    assert summarise_anytime(own, loss).ci_low is None
    assert compare_anytime(own, other, loss) is None


def test_a_comparison_says_how_it_was_made():
    own = {f"{at:02}": 0.0 for at in range(20)}
    found = compare_anytime(own, dict.fromkeys(own, 1.0), SCORE)
    assert (found.test, found.worse, found.delta) == ("anytime_kt", 20, -1)
    assert found.p == pytest.approx(math.exp(-log_evidence(-np.ones(20), binary=True)[-1]))
    assert -1 <= found.ci_low <= found.ci_high < 0


def test_hope_is_lost_where_nothing_changes_and_kept_where_much_does():
    enough = math.log(14 / 0.05)
    assert chance_to_decide(np.zeros(48), 116, enough, binary=True) < 0.05
    assert chance_to_decide(-np.ones(16), 148, enough, binary=True) == 1
    assert growth(-np.ones(16)) > growth(np.array([-1.0, 0, 0, 0])) > growth(np.zeros(4)) == 0


def test_stopping_takes_fewer_samples_and_less_power():
    power, mean, _ = sample_numbers(164, 0.3, 0.2, 0.05)
    assert mean < 164
    assert 0.5 < power < 1
    assert sample_numbers(164, 0.3, 0.0, 0.05)[0] <= 0.05
