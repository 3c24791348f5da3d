from __future__ import annotations

import pytest

from harness.interventions.residual import Term
from harness.interventions.router_mask.description import RouterMask
from harness.interventions.steering.description import Steering
from harness.report.vectors_report import vector_norms


def test_each_vector_has_its_length_beside_the_hidden_states():
    steering = Steering(
        terms=(
            Term(layer=2, vector=[3.0, 4.0], alpha=-7.0, residual_norm=20.0),
            Term(layer=5, site="mlp", vector=[0.0, 1.0], alpha=1.0),
        )
    )
    known, unknown = vector_norms(steering)
    assert (known.layer, known.site, known.norm, known.residual_norm) == (2, "block", 5.0, 20.0)
    assert known.relative == 0.25
    assert (unknown.layer, unknown.site, unknown.norm) == (5, "mlp", 1.0)
    assert unknown.residual_norm is unknown.relative is None


def test_a_vector_for_every_step_is_as_long_as_they_are_on_average():
    steps = Term(
        layer=0, vector=[[3.0, 4.0], [0.0, 1.0]], alpha=1.0, schedule="given", given=(1, 1)
    )
    (norm,) = vector_norms(Steering(terms=(steps,)))
    assert norm.norm == pytest.approx(3.0)


def test_what_adds_no_vector_has_none():
    assert vector_norms(None) == ()
    assert vector_norms(Steering()) == ()
    assert vector_norms(RouterMask(mode="keep_topk", points=((0, 1),))) == ()
