"""The order of a queue: everything once, nothing far from its place, similar lengths together."""

from __future__ import annotations

from collections import Counter
from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.engines.contract import Request
from harness.engines.transformers import ordering

requests = st.builds(
    Request,
    prompt=st.integers(1, 30).map(lambda length: (1,) * length),
    max_new_tokens=st.just(1),
    sample=st.sampled_from("abc"),
)


@given(st.lists(requests, max_size=40), st.booleans(), st.integers(1, 12))
def test_every_request_comes_once_and_within_the_look_ahead(queue, siblings_apart, ahead):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ordering, "LOOK_AHEAD", ahead)
        ordered = list(ordering.by_length(list(enumerate(queue)), siblings_apart=siblings_apart))
    assert sorted(position for position, _ in ordered) == list(range(len(queue)))
    for place, (position, request) in enumerate(ordered):
        assert request is queue[position]
        assert place // ahead == position // ahead


@given(st.lists(requests, max_size=40))
def test_the_longest_come_first_and_equals_keep_their_order(queue):
    ordered = list(ordering.by_length(list(enumerate(queue)), siblings_apart=False))
    keys = [(-len(request.prompt), position) for position, request in ordered]
    assert keys == sorted(keys)


@given(st.lists(requests, max_size=40), st.booleans())
def test_those_that_start_together_come_prompt_by_prompt(queue, siblings_apart):
    ordered = ordering.by_length(
        list(enumerate(queue)), siblings_apart=siblings_apart, together=lambda _: True
    )
    prompts = [request.prompt for _, request in ordered]
    assert len(list(groupby(prompts))) == len(set(prompts))


def test_they_come_from_wherever_they_are_and_those_that_begin_alike_are_neighbours():
    prompts = [(2, 9, 9), (1,), (2, 9, 1), (1, 5, 5, 5)]
    queue = [Request(each, 1, sample=str(each)) for each in prompts] * 3
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ordering, "LOOK_AHEAD", 4)
        ordered = ordering.by_length(
            list(enumerate(queue)), siblings_apart=True, together=lambda _: True
        )
        found = [prompt for prompt, _ in groupby(request.prompt for _, request in ordered)]
    assert found == sorted(prompts)


@given(st.lists(requests, max_size=40))
def test_siblings_are_as_far_apart_as_there_are_other_samples(queue):
    """Turn by turn: nobody has a third request before everybody who has two had a second."""
    ordered = list(ordering.by_length(list(enumerate(queue)), siblings_apart=True))
    seen: Counter[str] = Counter()
    turns = []
    for _, request in ordered:
        turns.append((seen[request.sample], -len(request.prompt)))
        seen[request.sample] += 1
    assert turns == sorted(turns)
