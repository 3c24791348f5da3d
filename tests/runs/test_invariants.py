"""The identities that a run checks on itself, with violations planted by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.runs.invariants import check_invariants
from tests.runs.small import cases, mask, result_of

TOKENS = [(1, 2, 3, 4), (5, 6)]


@pytest.fixture
def neutral():
    (case,) = cases()
    return case.case


@pytest.fixture
def baseline(neutral):
    return result_of(neutral.baseline, TOKENS)


def test_equal_completions_hold_whatever_their_scores_are_worth(neutral, baseline):
    (check,) = check_invariants([baseline, result_of(neutral, TOKENS, gap=1e-6)])
    assert check.holds
    assert (check.name, check.case) == ("neutral_equals_baseline", "small")
    assert check.detail == "2 of 2 completions equal the baseline's"


def test_the_first_departing_token_is_shown_with_its_gap(neutral, baseline):
    result = result_of(neutral, [(1, 2, 3, 4), (5, 9)])
    (check,) = check_invariants([baseline, result])
    assert not check.holds
    assert check.detail == (
        "1 of 2 completions equal the baseline's; first departure: "
        "s/1 at token 1: 9 instead of 6, log-probability gap -3.00e-01"
    )
    assert (check.departure.request, check.departure.token) == ("s/1", 1)
    assert check.departure.log_probability_gap == pytest.approx(-0.3)


@pytest.mark.parametrize(
    ("tokens", "departure"),
    [
        ((1, 2, 3), "s/0 at token 3: the end instead of 4"),
        ((1, 2, 3, 4, 7), "s/0 at token 4: 7 instead of the end"),
        ((), "s/0 at token 0: the end instead of 1"),
    ],
)
def test_a_completion_that_ends_elsewhere_is_a_departure(neutral, baseline, tokens, departure):
    (check,) = check_invariants([baseline, result_of(neutral, [tokens, (5, 6)])])
    assert not check.holds
    assert check.detail.endswith(departure)
    assert check.departure.log_probability_gap is None


def test_draws_are_compared_with_their_own_kind(neutral, baseline):
    """Not position by position: results may list their draws in another order."""
    result = result_of(neutral, TOKENS)
    (check,) = check_invariants([baseline, replace(result, draws=result.draws[::-1])])
    assert check.holds


def test_a_dose_that_is_not_neutral_promises_nothing(baseline):
    (case,) = cases(intervention=mask(count=4))
    assert not list(check_invariants([baseline, result_of(case.case, [(9,), (9,)])]))


def test_a_baseline_promises_nothing(baseline):
    assert not list(check_invariants([baseline]))


@pytest.mark.parametrize("status", ["failed", "incomplete"])
def test_what_did_not_finish_is_not_checked(neutral, baseline, status):
    unfinished = replace(baseline, status=status, draws=())
    assert not list(check_invariants([unfinished, result_of(neutral, TOKENS)]))
    assert not list(check_invariants([baseline, result_of(neutral, [], status=status)]))
    assert not list(check_invariants([result_of(neutral, TOKENS)]))


def test_the_order_of_results_does_not_matter(neutral, baseline):
    pair = [baseline, result_of(neutral, TOKENS)]
    assert list(check_invariants(pair)) == list(check_invariants(pair[::-1]))
