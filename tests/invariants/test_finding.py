"""How completions are compared, and what is said of the first that differs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.engines.contract import Completion
from harness.invariants.finding import equal, first_violation
from harness.store.results import Departure


def completion(*tokens: int, shift: float = 0.0, **fields) -> Completion:
    scores = tuple(shift - token / 10 for token in tokens)
    return Completion(tokens, "text", "stop", **{"log_probabilities": scores, **fields})


tokens = st.lists(st.integers(0, 3), max_size=5)


@given(tokens, tokens)
def test_a_departure_is_the_first_place_where_tokens_differ(own, other):
    found = Departure.between("s", completion(*own), completion(*other))
    if own == other:
        assert found is None
    else:
        padded = [[*sequence, *[None] * 5][:5] for sequence in (own, other)]
        at = next(i for i in range(5) if padded[0][i] != padded[1][i])
        assert (found.token, found.own, found.expected) == (at, padded[0][at], padded[1][at])


@pytest.mark.parametrize(("shift", "holds"), [(1e-4, True), (1e-2, False), (float("nan"), False)])
def test_log_probabilities_may_part_by_the_tolerance(shift, holds):
    found = equal([("s", completion(1, 2, shift=shift), completion(1, 2))], tolerance=1e-3)
    assert found.holds is holds
    if not holds:
        assert found.detail.startswith("s at token 0: log-probability gap")


def test_a_gap_that_is_not_finite_can_be_reported():
    departure = Departure.between(
        "s", completion(1, shift=float("nan")), completion(1), tolerance=1
    )
    assert departure.log_probability_gap is None
    assert str(departure) == "s at token 0: log-probability gap not finite"


@pytest.mark.parametrize(
    "fields", [{"text": "other"}, {"finish_reason": "length"}, {"counts": {"changed": 1}}]
)
def test_everything_else_must_be_equal_too(fields):
    own = Completion(**{"tokens": (), "text": "text", "finish_reason": "stop", **fields})
    found = equal([("s", own, completion())], tolerance=1.0)
    assert not found.holds
    assert found.detail.startswith(f"s: {next(iter(fields))} ")
    if "counts" in fields:
        assert equal([("s", own, completion())], tolerance=1.0, counts=False).holds


def test_nothing_to_compare_is_undecided():
    assert not equal([], tolerance=0.0).holds
    assert first_violation([], "tokens").detail == "undecided: no tokens to check"
    assert first_violation([None, "bad", "worse"], "tokens").detail == "bad"
    assert first_violation([None, None], "tokens").detail == "2 tokens"
