"""The dose of a step against its definition, token by token in Python floats."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from harness.errors import FieldError
from harness.interventions.array import Array
from harness.interventions.dac import DAC, Property, check_properties, dose, nucleus

ROWS = st.lists(
    st.lists(st.floats(-8, 8, width=32), min_size=6, max_size=6), min_size=2, max_size=2
)
TOP_P = st.floats(0.05, 0.95)


def settings(**changes) -> DAC:
    return DAC(properties=(), **changes)


def softmax(row: list[float]) -> list[float]:
    top = max(row)
    weights = [math.exp(value - top) for value in row]
    return [weight / sum(weights) for weight in weights]


def defined_nucleus(probabilities: list[float], top_p: float) -> set[int]:
    chosen, mass = set(), 0.0
    order = sorted(range(len(probabilities)), key=lambda i: (-probabilities[i], i))
    for token in order:
        chosen.add(token)
        mass += probabilities[token]
        if mass > top_p:
            break
    return chosen


def defined_dose(unsteered, steered, options: DAC) -> float:
    p, q = softmax(unsteered), softmax(steered)
    union = defined_nucleus(p, options.top_p) | defined_nucleus(q, options.top_p)
    p = {token: p[token] / sum(p[other] for other in union) for token in union}
    q = {token: q[token] / sum(q[other] for other in union) for token in union}
    if options.divergence == "kl_steered_unsteered":
        p, q = q, p
    total = sum(p[token] * math.log(p[token] / q[token]) for token in union if p[token] > 0)
    return min(max(total / (len(union) if options.per_token else 1), 0.0), options.strongest)


@given(
    ROWS, TOP_P, st.sampled_from(["kl_unsteered_steered", "kl_steered_unsteered"]), st.booleans()
)
def test_the_dose_is_the_divergence_on_the_union_of_the_nuclei(rows, top_p, divergence, per_token):
    options = settings(top_p=top_p, divergence=divergence, per_token=per_token)
    probabilities = [softmax(row) for row in rows]
    # Where the mass crosses the threshold within rounding, either nucleus is right.
    for row in probabilities:
        mass = 0.0
        for value in sorted(row, reverse=True):
            mass += value
            if abs(mass - top_p) < 1e-5:
                return
    unsteered, steered = (torch.tensor([row]) for row in rows)
    expected = defined_dose(*rows, options)
    assert float(dose(unsteered, steered, options)[0]) == pytest.approx(expected, abs=2e-4)


@given(ROWS, TOP_P)
def test_equal_distributions_need_no_dose_and_no_dose_is_out_of_range(rows, top_p):
    one, other = (torch.tensor([row]) for row in rows)
    options = settings(top_p=top_p)
    assert float(dose(one, one, options)[0]) == 0.0
    assert 0.0 <= float(dose(one, other, options)[0]) <= 2.0
    assert float(dose(one, other, settings(top_p=top_p, strongest=0.0))[0]) == 0.0


def test_the_crossing_token_is_in_the_nucleus_which_is_never_empty():
    probabilities = torch.tensor([[0.9, 0.06, 0.04], [0.4, 0.35, 0.25]])
    found = nucleus(probabilities.log(), 0.5)
    assert found.tolist() == [[True, False, False], [True, True, False]]


def test_infinite_logits_outside_of_the_union_do_no_harm():
    unsteered = torch.tensor([[2.0, 1.0, -torch.inf]])
    steered = torch.tensor([[1.0, 2.0, -torch.inf]])
    assert torch.isfinite(dose(unsteered, steered, settings())).all()


def test_properties_compose_in_any_order_and_one_without_dose_drops_out():
    one = Property(name="a", differences=((0, Array([[1.0, 2.0], [3.0, 4.0]])),))
    other = Property(name="b", differences=((1, Array([[5.0, 6.0]])),))
    both = DAC(properties=(one, other)).composed([[0.5, 1.0], [0.25, 0.7]])
    turned = DAC(properties=(other, one)).composed([[0.25, 0.7], [0.5, 1.0]])
    assert both == turned
    alone = DAC(properties=(one,)).composed([[0.5, 1.0]])
    assert DAC(properties=(one, other)).composed([[0.5, 1.0], [0.0, 0.0]]).prefix_key(9, 4) != ""
    silent = DAC(properties=(other,)).composed([[0.0]])
    assert [term.vector for term in alone.terms] == [one.differences[0][1]]
    assert silent.terms[0].given == (0.0,)
    # The second property has one step: what it was given for a later one has no vector.
    assert next(term.given for term in both.terms if term.layer == 1) == (0.25,)


def test_neutral_is_the_strongest_dose_of_zero():
    dac = settings(strongest=1.5)
    assert not dac.is_neutral
    assert dac.neutral().is_neutral


@pytest.mark.parametrize("wrong", [{"top_p": 0.0}, {"top_p": 1.0}, {"strongest": -1.0}])
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(ValidationError):
        settings(**wrong)


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (2, (3, 4), "tone has a vector for layer 2; the layers are 0-1"),
        (1, (3, 5), r"tone has vectors of shape \[3, 5\] at layer 1; expected \[steps, 4\]"),
    ],
)
def test_a_property_must_fit_the_model(layer, shape, message):
    chosen = Property(name="tone", differences=((layer, Array(torch.ones(shape))),))
    with pytest.raises(FieldError, match=message):
        check_properties([chosen], layers=2, width=4)
