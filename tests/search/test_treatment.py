from __future__ import annotations

import pytest

from harness.errors import FieldError
from harness.search.treatment import (
    control_axis,
    dose_field,
    pair_sections,
    treatment,
    with_pairs,
    without_control,
)
from harness.spec import Experiment, expand

STEERING = {"kind": "steering", "vector": {"pairs": "answers"}, "layer": 0, "alpha": 0.5}
MASK = {"kind": "router_mask", "points": {"file": "points.json"}, "count": 3}


def experiment(intervention):
    content = {"name": "x", "model": "zoo/moe", "task": {"name": "micro_gsm8k"}}
    return Experiment.model_validate({**content, "intervention": intervention})


@pytest.mark.parametrize(
    ("intervention", "dose"),
    [
        (STEERING, "alpha"),
        ({**STEERING, "alpha": 0}, None),
        (MASK, "count"),
        ({**MASK, "count": 0}, None),
    ],
)
def test_the_dose_is_what_the_neutral_one_changes(intervention, dose):
    found = dose_field(treatment(experiment(intervention)))
    assert found == (None if dose is None else f"intervention.{dose}")


def test_one_case_without_its_control():
    assert len(expand(experiment(STEERING))) == 2
    (case,) = expand(without_control(experiment(STEERING)))
    assert case.experiment.intervention.control == "none"
    assert without_control(experiment(MASK)) == experiment(MASK)


def test_every_kind_has_its_control():
    assert control_axis(experiment(STEERING)) == {"intervention.control": ["none", "random"]}
    ((axis, values),) = control_axis(experiment(MASK)).items()
    assert (axis, values[1]) == ("intervention.points", {"random": 0})
    assert values[0]["file"].endswith("points.json")
    assert control_axis(experiment({**MASK, "points": {"random": 4}})) == {}


def test_the_pairs_of_a_vector_are_found_and_counted():
    assert [vector.samples for vector in pair_sections(experiment(STEERING))] == [64]
    fewer = with_pairs(experiment(STEERING), 7)
    assert [vector.samples for vector in pair_sections(fewer)] == [7]
    assert fewer.intervention.alpha == 0.5
    assert pair_sections(experiment(MASK)) == []


def test_nothing_to_search_for_is_refused():
    with pytest.raises(FieldError, match="intervention: missing"):
        treatment(experiment(None))
