"""What stateful rules keep of a row goes where its sequence goes, and comes back with it."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.engines.contract import Request
from harness.engines.transformers.engine import TransformersEngine
from harness.interventions.router_mask.description import RouterMask
from harness.models.loading import LoadedModel, load
from harness.sampling.chosen import SamplingRules
from harness.store.replies import completion_from, completion_json
from tests.engines.transformers.small_requests import PROPERTY, alone, assert_equal, prompts, run

pytestmark = pytest.mark.usefixtures("other_rules")


@pytest.fixture(scope="module")
def loaded() -> LoadedModel:
    """One model that can be masked, and not every architecture."""
    return load("zoo/moe", device="cpu")


NEW = 10
RULES = (
    {"cooling": 0.3},
    {"unrepeated": True},
    {"cooling": 0.1, "unrepeated": True, "top_k": 20},
    {"temperature": 1.0},
    {},
)


def requests(count: int = 10) -> list[Request]:
    """Rows with and without states, of two samples, so that some would be drafted."""
    return [
        Request(
            prompt,
            NEW - index % 4,
            intervention=RouterMask(points=((0, index % 3),)) if index % 2 else None,
            sampling=SamplingRules(**RULES[index % len(RULES)]),
            sample=str(index % 2),
            draw=index,
        )
        for index, prompt in enumerate(prompts(count))
    ]


def test_a_row_with_a_state_draws_the_same_in_any_company(loaded):
    asked = requests()
    together = run(TransformersEngine(loaded, slots=3), asked)
    for request, own in zip(asked, together, strict=True):
        expected = alone(loaded, request)
        assert_equal(own, expected)
        assert own.states == expected.states
        assert own.states.keys() == {rule.name for rule in request.sampling.stateful}


def test_states_are_those_of_the_last_token(loaded):
    for request, own in zip(requests(), run(TransformersEngine(loaded), requests()), strict=True):
        if "unrepeated" in request.sampling:
            assert own.states["unrepeated"] == (own.tokens[-1],)
            said = (request.prompt[-1], *own.tokens)
            assert all(one != other for one, other in pairwise(said))
        if "cooling" in request.sampling:
            cooled = 2.0 * (1 - request.sampling["cooling"]) ** len(own.tokens)
            assert own.states["cooling"] == pytest.approx((cooled,), rel=1e-5)


@PROPERTY
@given(cut=st.integers(1, NEW - 4), seed=st.integers(0, 100))
def test_a_request_cut_in_two_goes_on_as_if_it_had_not_been(loaded, cut, seed):
    asked = [replace(request, seed=seed) for request in requests(5)]
    engine = TransformersEngine(loaded, slots=3)
    wholes = run(engine, asked)
    firsts = run(engine, [replace(request, max_new_tokens=cut) for request in asked])
    stored = [completion_from(json.loads(json.dumps(completion_json(each)))) for each in firsts]
    assert stored == firsts
    going_on = [
        (request.after(first, request.max_new_tokens - cut), first, whole)
        for request, first, whole in zip(asked, stored, wholes, strict=True)
        if first.finish_reason == "length"
    ]
    rests = run(engine, [rest for rest, *_ in going_on])
    for own, (_, first, whole) in zip(rests, going_on, strict=True):
        assert first.tokens + own.tokens == whole.tokens
        assert (own.text, own.states) == (whole.text, whole.states)


def test_a_state_that_is_not_carried_is_seen(loaded):
    """The two tests above could not fail if nothing depended on the state."""
    request = next(each for each in requests() if each.sampling == {"cooling": 0.3})
    first = alone(loaded, replace(request, max_new_tokens=6))
    rest = request.after(first, 4)
    assert rest.key() != replace(rest, state=()).key()
    states = [alone(loaded, each).states for each in (rest, replace(rest, state=()))]
    assert states[0] != states[1]
    assert "states" not in completion_json(alone(loaded, requests()[4]))


def test_a_foreign_state_is_refused_and_the_others_go_on(loaded):
    foreign = replace(requests()[0], state=(("unrepeated", (1.0,)),))
    refused, other = run(TransformersEngine(loaded), [foreign, requests()[1]])
    assert refused.finish_reason == "error"
    assert "a state of unrepeated, which is no stateful rule of this request" in refused.error
    assert other.tokens
