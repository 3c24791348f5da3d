"""What a request carries: rows that are shared, uploads that are made once, room that runs out."""

from __future__ import annotations

import pytest
import torch

from harness.engines.declared import Declared
from harness.engines.vllm.conditions import Conditions, additions
from harness.errors import RequestError
from harness.interventions.array import Array
from harness.interventions.steering import Steering, Term

from .requests_of import masks, steerings, vector


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
    narrow = conditions_for(both, rows=2)  # one row at each place, and two vectors at layer 1
    assert narrow.lease(both, 5) is None
    alone = Steering(terms=both.terms[:1])
    assert len(narrow.lease(alone, 5).writes) == 1


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
