"""What a comparison of two models makes of the labels of its tokens."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.metrics.diff import METRICS

ALPHA = next(entry for entry in METRICS if entry.name == "alpha")
RATINGS = st.lists(st.lists(st.sampled_from([0.0, 1.0, None]), min_size=3, max_size=3), min_size=1)


@given(RATINGS, st.integers(0, 20))
def test_places_without_a_token_make_no_agreement(ratings, empty):
    assert ALPHA.of([*ratings, *[[]] * empty]) == pytest.approx(ALPHA.of(ratings))


def test_judges_that_say_nothing_agree_on_nothing():
    assert ALPHA.of([[None, None, None]] * 4) == 0
    assert ALPHA.of([[1.0, None, None], [None, 0.0, None]]) == 0
    assert ALPHA.of([[1.0, 1.0, None], [None, 0.0, 0.0]]) == 1


def test_where_there_is_no_token_nothing_can_disagree():
    assert ALPHA.of([[], []]) == 1
