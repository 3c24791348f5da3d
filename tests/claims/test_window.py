"""A window as a gate: shown, not shown, undecided; what makes no sense is told at once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.claims.gates import check_gates, impossible
from harness.spec.gates import parse_gate
from harness.spec.grid import expand
from tests.claims.test_monotone import curve
from tests.runs.small import experiment

FALLING = (0.9, 0.9, 0.9, 0.85, 0.2)
RISING = (0.0, 0.9, 0.95, 1.0, 1.0)
GATE = "window(tool_call, pass@1) exists"


def with_target(rates, n=100):
    """Cases whose target `tool_call` rises at other doses than pass@1 falls."""
    own, target = curve(FALLING, n=n), curve(rates, n=n)
    return [
        replace(
            case, sample_metrics={**case.sample_metrics, "tool_call": each.sample_metrics["pass@1"]}
        )
        for case, each in zip(own, target, strict=True)
    ]


@pytest.mark.parametrize(
    ("rates", "gate", "holds", "says"),
    [
        (
            (0.0, 0.9, 0.95, 1.0, 1.0),
            "window(tool_call, pass@1) exists",
            True,
            "ED50 of tool_call is",
        ),
        (
            (0.0, 0.0, 0.0, 0.1, 1.0),
            "window(tool_call, pass@1) exists",
            False,
            "ED50 of tool_call is 3.",
        ),
        (
            (0.5,) * 5,
            "window(tool_call, pass@1) exists",
            False,
            "undecided: tool_call: it does not",
        ),
        ((0.0, 0.9, 1.0, 1.0, 1.0), "window(parsed, pass@1) exists", False, "undecided: no metric"),
    ],
)
def test_it_is_judged_by_two_intervals(rates, gate, holds, says):
    (verdict,) = check_gates([("keep_topk", [parse_gate(gate)])], with_target(rates), [])
    assert verdict.holds == holds
    assert verdict.detail.startswith(says)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("window(pass@1, pass@1) exists", "pass@1 is both"),
        ("window(tool_call, pass@1, 0) exists", "is no change"),
        ("window(tool_call, pass@1) exists where baseline", "a baseline has no dose"),
        ("window(tool_call) exists", r"it should be window\(TARGET, CAPABILITY\) exists"),
    ],
)
def test_a_text_that_means_something_else_is_told(text, complaint):
    with pytest.raises(ValueError, match=complaint):
        parse_gate(text)


def test_a_loss_beyond_the_metric_is_never_decided():
    cases = with_target((0.0, 0.9, 1.0, 1.0, 1.0))
    told = impossible(parse_gate("window(tool_call, pass@1, 1) exists"), cases[0])
    assert told.endswith("pass@1 lies between 0 and 1 and never changes by so much")


def asking(experiment, changes):
    return type(experiment).model_validate(experiment.model_dump() | changes)


@pytest.mark.parametrize(
    ("values", "complaint"),
    [([0, 1], "has 1 dose above 0"), ([0, 1, 2], "has 2 doses above 0, which are no curve")],
)
def test_few_doses_are_refused_at_the_spec(values, complaint):
    with pytest.raises(Exception, match=complaint):
        expand(
            asking(
                experiment(),
                {
                    "axes": {"intervention.count": values},
                    "dose": "intervention.count",
                    "window": {"target": "tool_call", "capability": "pass@1"},
                },
            )
        )
