from __future__ import annotations

import pytest

from harness.errors import SpecError
from harness.spec import Experiment, expand
from harness.spec.gates import Selection
from harness.spec.gates.where import same_value

CONTENT = {
    "name": "small",
    "model": "zoo/moe",
    "task": {"name": "micro_humaneval"},
    "intervention": {"kind": "router_mask", "points": {"random": 0}, "count": 4},
    "axes": {
        "intervention.count": [0, 4],
        "prompt.style": ["agentic", "assisted"],
        "engine.drafts": [True],
        "task.name": ["micro_humaneval"],
    },
    "dose": "intervention.count",
}


def refusal(gate, **fields):
    with pytest.raises(SpecError) as caught:
        expand(Experiment.model_validate(CONTENT | {"gates": [gate]} | fields))
    return str(caught.value)


@pytest.mark.parametrize(
    "gate",
    [
        "pass@1 >= 0.9 where count=4 and style=agentic",
        "pass@1 >= 0.9 where intervention.count=4.0",
        "pass@1 >= 0.9 where drafts=true",
        "pass@1 >= 0.9 where baseline and style=assisted",
        "monotone within CI where style=agentic",
        "same across style",
        "pass@1 >= 0.9 where task=micro_humaneval",
        "same across prompt.style where count=0",
    ],
)
def test_gates_of_cases_that_are_in_the_grid(gate):
    assert expand(Experiment.model_validate(CONTENT | {"gates": [gate]}))


@pytest.mark.parametrize(
    ("gate", "says"),
    [
        ("pass@1 > 0 where cuont=4", "'cuont' is not an axis of small; its axes are"),
        ("pass@1 > 0 where prompt.stile=agentic", "did you mean prompt.style?"),
        ("pass@1 > 0 where count=5", "intervention.count is never '5' in small; its values are 0"),
        ("pass@1 > 0 where style=chatty", "its values are agentic, assisted"),
        ("pass@1 > 0 where baseline and count=4", "'count' is not an axis"),
        ("same across engine.slots", "'engine.slots' is not an axis of small; did"),
        ("same across drafts", "engine.drafts has one value in small; add those to compare"),
    ],
)
def test_gates_of_cases_that_are_not(gate, says):
    message = refusal(gate)
    assert says in message
    assert message.startswith("experiment small gates[0]: ")
    assert "\n" not in message


def test_a_monotone_claim_needs_a_dose():
    assert "small has no dose" in refusal("monotone within CI", dose=None)


def test_a_baseline_claim_needs_baselines():
    axes = {"prompt.style": ["agentic"]}
    message = refusal("pass@1 > 0 where baseline", dose=None, intervention=None, axes=axes)
    assert "has no baselines" in message
    message = refusal("neutral_equals_baseline", dose=None, intervention=None, axes=axes)
    assert "small intervenes in nothing" in message


@pytest.mark.parametrize(
    ("text", "value", "same"),
    [
        ("4", 4, True),
        ("4.0", 4, True),
        ("true", True, True),
        ("1", True, False),
        ("four", 4, False),
        ("agentic", "agentic", True),
        ("null", None, True),
        ("[1,2]", [1, 2], True),
    ],
)
def test_values_as_a_gate_writes_them(text, value, same):
    assert same_value(text, value) == same


def test_selection_reads_a_cases_parameters():
    params = {"intervention.count": 4, "prompt.style": "agentic"}
    assert Selection((("count", "4"),)).selects(params, baseline=False)
    assert not Selection((("count", "0"),)).selects(params, baseline=False)
    assert not Selection((("seed", "0"),)).selects(params, baseline=False)
    assert not Selection().selects(params, baseline=True)
    assert Selection((), baseline=True).selects({}, baseline=True)
