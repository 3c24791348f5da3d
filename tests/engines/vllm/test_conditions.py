"""What a request carries: rows that are shared, uploads that are made once, room that runs out."""

from __future__ import annotations

import pytest
import torch

from harness.engines.declared import Declared
from harness.engines.vllm.conditions import Conditions, additions
from harness.errors import RequestError
from harness.interventions.array import Array
from harness.interventions.residual import Term
from harness.interventions.steering.description import Steering
from tests.engines.vllm.requests_of import masks, steerings, vector


def conditions_for(*interventions, rows=4):
    conditions = Conditions(rows)
    conditions.declare(Declared.of(interventions))
    return conditions


def test_equal_conditions_are_uploaded_once():
    light, replacing, *_ = masks()
    conditions = conditions_for(light, replacing)
    first, second, other = (conditions.lease(each, 5) for each in (light, light, replacing))
    assert first.payload == second.payload == {"mask": 1, "counted": True}
    assert [write[0] for write in first.writes] == ["mask"]
    assert second.writes == []
    assert other.payload["mask"] == 2


def test_doses_share_their_vector():
    one = vector(8, 0)
    doses = [Steering(terms=(Term(layer=1, vector=one, alpha=a),)) for a in (1.0, 2.0)]
    conditions = conditions_for(*doses)
    first, second = (conditions.lease(dose, 5) for dose in doses)
    assert len(first.writes) == 1
    assert second.writes == []
    assert first.payload["terms"][0][1] == 1.0
    assert second.payload["terms"][0][1] == 2.0


def test_a_neutral_intervention_carries_nothing():
    conditions = conditions_for()
    for neutral in (None, masks()[-1], Steering()):
        lease = conditions.lease(neutral, 5)
        assert lease.payload == {}
        assert lease.writes == []


def test_without_room_nothing_is_held_and_nothing_passes_for_written():
    one, two, three, four, *_ = masks()
    conditions = conditions_for(one)
    held = [conditions.lease(each, 5) for each in (one, two, three)]
    assert conditions.lease(four, 5) is None
    held[0].release()
    assert [write[0] for write in conditions.lease(four, 5).writes] == ["mask"]

    both = Steering(
        terms=tuple(
            Term(layer=layer, vector=vector(8, seed), alpha=1.0)
            for layer, seed in ((0, 0), (1, 1), (1, 2))
        )
    )
    narrow = conditions_for(both, rows=3)  # two rows at each place; somebody has one at layer 1
    other = narrow.lease(Steering(terms=(Term(layer=1, vector=vector(8, 3), alpha=1.0),)), 5)
    assert narrow.lease(both, 5) is None
    alone = Steering(terms=both.terms[:1])
    lease = narrow.lease(alone, 5)
    assert len(lease.writes) == 1
    lease.release()
    other.release()
    assert narrow.lease(both, 5) is not None


def test_vectors_of_more_steps_than_there_are_rows_are_refused():
    steps = Array(torch.ones(4, 8))
    term = Term(layer=0, vector=steps, alpha=1.0, schedule="given", given=(1.0,) * 4)
    steering = Steering(terms=(term,))
    with pytest.raises(RequestError, match=r"4 vectors, one for each step.*raise engine\.slots"):
        conditions_for(steering).lease(steering, 5)


def test_additions_are_counted_as_they_are_defined():
    prompt, length = 5, 12
    expected = {
        "from_last_prompt_token": length - prompt + 1,
        "generated": length - prompt,
        "prompt": prompt,
        "all": length,
    }
    for positions, count in expected.items():
        term = Term(layer=0, vector=vector(8, 0), alpha=1.0, positions=positions)
        assert additions([term], prompt, length) == count
    fading = Term(layer=0, vector=vector(8, 0), alpha=1.0, schedule="diminishing", over=3)
    given = Term(layer=0, vector=vector(8, 0), alpha=1.0, schedule="given", given=(1.0, 0.0, 2.0))
    assert additions([fading, given], prompt, length) == 3 + 2
    conditional = steerings(8)[2].terms
    assert additions(conditional, prompt, length) == 0


def _of_steps(count, seed):
    values = torch.randn(count, 8, generator=torch.Generator().manual_seed(seed))
    given = (1.0,) * count
    return Term(layer=1, vector=Array(values), alpha=1.0, schedule="given", given=given)


def test_terms_that_never_fit_together_are_refused():
    """Each of them does, so that nobody would be left to wait for."""
    together = Steering(terms=(_of_steps(3, 0), _of_steps(3, 1)))
    conditions = conditions_for(together, rows=6)
    with pytest.raises(RequestError, match=r"than the 5 that the engine holds; raise engine.slots"):
        conditions.lease(together, 5)
    assert conditions.users == 0


@pytest.mark.parametrize("place", range(3))
def test_rows_that_are_kept_for_later_make_room_for_neighbouring_ones(place):
    """Also where one of them is wanted again, and lies in the middle of those."""
    singles = [Term(layer=1, vector=vector(8, seed), alpha=1.0) for seed in range(3)]
    both = Steering(terms=(singles[place], _of_steps(4, 7)))
    conditions = conditions_for(both, rows=6)
    for single in singles:
        conditions.lease(Steering(terms=(single,)), 5).release()
    lease = conditions.lease(both, 5)
    assert sum(write[0] == "vectors" for write in lease.writes) >= 1
    lease.release()
    assert conditions.users == 0
