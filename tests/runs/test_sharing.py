"""Shares of what several parts need: complete, equal, and the same in every worker."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from harness.engines.contract import Request
from harness.runs.sharing import left_to_others

REQUESTS = [Request((number,), 1) for number in range(12)]

needs = st.dictionaries(
    st.integers(0, 3), st.lists(st.sampled_from(REQUESTS), unique=True), min_size=1, max_size=4
)


def made(needed):
    """What every part makes first, by its number."""
    others = {part: set(left_to_others(needed, part)) for part in needed}
    return {part: [each for each in needed[part] if each not in others[part]] for part in needed}


@given(needs)
def test_every_request_is_made_by_exactly_one_of_the_parts_that_need_it(needed):
    every = {request for requests in needed.values() for request in requests}
    first = [request for requests in made(needed).values() for request in requests]
    assert sorted(each.prompt for each in first) == sorted(each.prompt for each in every)


@given(needs)
def test_nothing_is_left_to_others_that_no_other_part_needs(needed):
    for part, own in needed.items():
        others = {
            each for number, requests in needed.items() if number != part for each in requests
        }
        assert set(left_to_others(needed, part)) <= set(own) & others


@given(st.lists(st.sampled_from(REQUESTS), unique=True), st.integers(1, 4))
def test_parts_that_need_the_same_make_equal_shares(requests, count):
    shares = [len(own) for own in made(dict.fromkeys(range(count), requests)).values()]
    assert max(shares) - min(shares) <= 1


@given(needs)
def test_workers_agree_in_whatever_order_they_learn_of_the_parts(needed):
    backwards = dict(reversed(needed.items()))
    for part in needed:
        assert left_to_others(needed, part) == left_to_others(backwards, part)


def test_a_part_alone_leaves_nothing_to_others():
    assert left_to_others({3: REQUESTS}, 3) == []
