"""What a dynamic activation composition asks for at every step, and what it makes of it."""

from __future__ import annotations

import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from harness.errors import FieldError
from harness.interventions.array import Array
from harness.interventions.dac.description import DAC, LayerDifference, Property
from harness.interventions.kind import intervention_from
from harness.interventions.steering.description import Steering

WIDTH = 3
LOGITS = st.lists(st.floats(-30, 30), min_size=5, max_size=5)
STRONGEST = st.sampled_from([0.25, 1.0, 2.0, 7.5])
ALPHAS = st.lists(st.floats(0, 2, width=32), min_size=1, max_size=6)


def one(name="one", *, steps: int | None = 4, layers=(0, 2), scale=1.0) -> Property:
    shape = (WIDTH,) if steps is None else (steps, WIDTH)
    return Property(
        name=name,
        differences=tuple(
            LayerDifference(layer=layer, vector=Array(torch.full(shape, scale + layer)))
            for layer in layers
        ),
    )


def log_softmax(logits) -> torch.Tensor:
    return torch.tensor(logits).log_softmax(-1)


@given(LOGITS, LOGITS, STRONGEST, st.sampled_from([0.1, 0.5, 1.0]), st.booleans())
def test_a_dose_is_between_nothing_and_the_strongest(p, q, strongest, top_p, mean):
    dac = DAC(properties=(one(),), strongest=strongest, top_p=top_p, mean_divergence=mean)
    assert 0 <= dac.alpha(log_softmax(p), log_softmax(q)) <= strongest
    assert dac.alpha(log_softmax(p), log_softmax(p)) == 0


def test_what_the_other_excludes_gets_the_strongest_dose():
    dac = DAC(properties=(one(),), strongest=1.5)
    assert dac.alpha(torch.tensor([0.0, -torch.inf]), torch.tensor([-torch.inf, 0.0])) == 1.5


@given(ALPHAS)
def test_a_composition_is_the_sum_of_its_properties(alphas):
    first, second = one(), one("two", scale=5.0)
    alone = [DAC(properties=(each,)).composed([alphas]).terms for each in (first, second)]
    both = DAC(properties=(first, second)).composed([alphas, alphas])
    assert set(both.terms) == {*alone[0], *alone[1]}
    assert len(both.terms) == 4


@given(ALPHAS)
def test_composition_does_not_depend_on_the_order_of_properties(alphas):
    first, second = one(), one("two", scale=5.0)
    forth = DAC(properties=(first, second)).composed([alphas, alphas[::-1]])
    back = DAC(properties=(second, first)).composed([alphas[::-1], alphas])
    assert forth == back
    assert forth.fingerprint() == back.fingerprint()


@pytest.mark.parametrize("step", [0, 2, 3])
def test_the_steered_model_has_the_strongest_dose_at_every_step_so_far(step):
    dac = DAC(properties=(one(),), strongest=1.5)
    assert {term.given for term in dac.steered(0, step).terms} == {(1.5,) * (step + 1)}
    assert [term.layer for term in dac.steered(0, step).terms] == [0, 2]


def test_nothing_is_added_after_the_last_row():
    dac = DAC(properties=(one(steps=2), one("two", steps=None)))
    assert [dac.properties[0].acts_at(step) for step in (0, 1, 2)] == [True, True, False]
    assert dac.properties[1].acts_at(1000)
    terms = dac.composed([[1.0] * 5, [2.0] * 5]).terms
    assert {len(term.given) for term in terms if len(term.vector.shape) == 2} == {2}
    assert {len(term.given) for term in terms if len(term.vector.shape) == 1} == {5}


def test_a_difference_of_nothing_is_no_edit():
    dac = DAC(properties=(one(scale=0.0, layers=(0,)),))
    assert dac.composed([[1.0, 2.0]]) == Steering()
    assert not dac.acts_at(0)


def test_doses_of_steps_to_come_do_not_part_what_was_computed():
    """The key under which the columns of prompt and steps so far are found again."""
    dac = DAC(properties=(one(),))
    before, after = dac.composed([[0.5, 0.25]]), dac.composed([[0.5, 0.25, 1.0]])
    other = dac.composed([[0.5, 0.75, 1.0]])
    prompt = 10
    assert before.prefix_key(11, prompt) == after.prefix_key(11, prompt)
    assert before.prefix_key(11, prompt) != other.prefix_key(11, prompt)
    assert before.prefix_key(9, prompt) == other.prefix_key(9, prompt) == ""


def test_it_comes_back_equal_and_its_report_is_short():
    dac = DAC(properties=(one(), one("two", steps=None)), direction="steered_to_unsteered")
    read = intervention_from(json.loads(json.dumps(dac.model_dump(mode="json"))))
    assert read == dac
    assert read.fingerprint() == dac.fingerprint()
    described = json.dumps(dac.described())
    assert "float32" not in described
    assert dac.properties[0].differences[1].vector.digest in described


@pytest.mark.parametrize(
    "change",
    [
        {"strongest": 1.0},
        {"top_p": 0.9},
        {"direction": "steered_to_unsteered"},
        {"mean_divergence": True},
        {"properties": (one("other"),)},
        {"properties": (one(scale=2.0),)},
        {"properties": (one(layers=(0, 1)),)},
        {"properties": (one().model_copy(update={"site": "mlp"}),)},
    ],
)
def test_everything_that_changes_the_text_changes_the_fingerprint(change):
    dac = DAC(properties=(one(),))
    dac.fingerprint()
    assert dac.model_copy(update=change).fingerprint() != dac.fingerprint()


def test_the_neutral_one_is_never_steered():
    dac = DAC(properties=(one(),))
    assert not dac.is_neutral
    assert dac.neutral().is_neutral
    assert dac.neutral().strongest == 0


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"top_p": 0.0}, "greater than 0"),
        ({"top_p": 1.5}, "less than or equal to 1"),
        ({"strongest": -1.0}, "greater than or equal to 0"),
        ({"strongest": float("nan")}, "finite"),
        ({"properties": ()}, "at least 1"),
        ({"properties": (one(), one())}, "two properties are called 'one'"),
    ],
)
def test_what_cannot_be_is_refused(fields, problem):
    with pytest.raises(ValidationError, match=problem):
        DAC(**({"properties": (one(),)} | fields))


def test_differences_are_rows_of_finite_numbers():
    with pytest.raises(ValidationError, match=r"not of the shape \[1, 2, 3\]"):
        LayerDifference(layer=0, vector=Array(torch.zeros(1, 2, 3)))
    with pytest.raises(FieldError, match=r"entry \[1, 0\] is nan"):
        LayerDifference(layer=0, vector=Array([[1.0], [float("nan")]]))
