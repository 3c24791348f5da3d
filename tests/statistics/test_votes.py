"""Votes and budgets against all subsets, pass@k's formula, and identities."""

from __future__ import annotations

import math
from itertools import combinations, permutations
from statistics import fmean

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.statistics.votes import (
    DrawnAnswer,
    answer_entropy,
    any_right,
    best_of,
    distinct,
    orders,
    vote,
)
from harness.tasks.code import pass_at_k

RIGHT, WRONG, OTHER, NONE = (
    DrawnAnswer("7", correct=True, tokens=10),
    DrawnAnswer("8", correct=False, tokens=20),
    DrawnAnswer("9", correct=False, tokens=5),
    DrawnAnswer(None, correct=False, tokens=30),
)
draws = st.lists(st.sampled_from([RIGHT, WRONG, OTHER, NONE]), min_size=1, max_size=6)


def test_the_first_of_equally_frequent_answers_wins_and_no_answer_votes():
    assert vote([RIGHT, WRONG]) == 1
    assert vote([WRONG, RIGHT]) == 0
    assert vote([WRONG, RIGHT, RIGHT]) == 1
    assert vote([NONE, NONE, RIGHT]) == 0
    assert vote([]) == 0


@settings(max_examples=60)
@given(draws, st.data())
def test_any_right_is_pass_at_k(sample, data):
    k = data.draw(st.integers(1, len(sample)))
    expected = pass_at_k(len(sample), sum(draw.correct for draw in sample), k)
    assert orders(sample).at_draws("any_right", k) == pytest.approx(expected, abs=0.12)


@settings(max_examples=40)
@given(draws, st.data())
def test_votes_are_means_over_orders(sample, data):
    k = data.draw(st.integers(1, len(sample)))
    expected = fmean(vote(order[:k]) for order in permutations(sample))
    assert orders(sample).at_draws("vote", k) == pytest.approx(expected, abs=0.12)


@given(draws)
def test_what_one_and_all_draws_are_worth(sample):
    share = fmean(draw.correct for draw in sample)
    found = orders(sample)
    assert found.at_draws("vote", 1) == pytest.approx(share, abs=0.12)
    assert found.at_draws("any_right", len(sample)) == any_right(sample)
    assert found.at_draws("distinct", len(sample)) == distinct(sample)
    assert 0 <= answer_entropy(sample) <= math.log2(distinct(sample)) + 1e-12


@given(st.lists(st.sampled_from([RIGHT, WRONG, OTHER, NONE]), min_size=1, max_size=4), st.data())
def test_orders_hold_what_the_definitions_say_of_the_first_draws(sample, data):
    k = data.draw(st.integers(1, len(sample)))
    found = orders(sample)
    for worth in (vote, any_right, distinct, answer_entropy):
        expected = fmean(worth(order[:k]) for order in permutations(sample))
        assert found.at_draws(worth.__name__, k) == pytest.approx(expected)


@given(draws, st.integers(0, 200))
def test_a_budget_buys_whole_draws_and_more_of_it_never_fewer(sample, budget):
    found = orders(sample)
    assert (np.diff(found.tokens) >= 5).all()
    assert found.at_tokens("distinct", budget) <= found.at_tokens("distinct", budget + 10)
    assert found.at_tokens("vote", 10**6) == found.at_draws("vote", len(sample))
    assert found.at_tokens("vote", 4) == 0.0


def test_equal_answers_have_no_entropy_and_two_halves_one_bit():
    assert answer_entropy([RIGHT] * 4) == 0
    assert answer_entropy([RIGHT, RIGHT, WRONG, WRONG]) == 1
    assert answer_entropy([]) == 0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=7), st.data())
def test_the_best_of_n_is_the_mean_over_all_subsets(scores, data):
    n = data.draw(st.integers(1, len(scores)))
    assert best_of(scores, n) == pytest.approx(fmean(map(max, combinations(scores, n))))
    assert best_of(scores, 1) == pytest.approx(fmean(scores))
    assert best_of(scores, len(scores)) == pytest.approx(max(scores))


def test_more_draws_than_there_are_is_an_error():
    with pytest.raises(ValueError, match="3 draws of samples that have 2; use 1 to 2"):
        orders([RIGHT, WRONG]).at_draws("vote", 3)
    with pytest.raises(ValueError, match="the best of 3 of 2 settings"):
        best_of([0.1, 0.2], 3)
