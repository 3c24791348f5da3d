from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.report.build import build
from harness.report.figures.curves import (
    are_even,
    break_of,
    by_dose,
    curves,
    places_of,
    shown_metrics,
)
from tests.report.small_run import METRIC, called, cases_of, first, result_of, sweep


def test_curves_come_in_the_order_of_the_numbers_in_their_names(run):
    axes = {"seed": [10, 2, 1], "intervention.count": [4, 0]}
    results = [result_of(c, first(1, 2)) for c in cases_of(axes=axes, dose="intervention.count")]
    report = build(run, results)
    found = curves(by_dose(report, report.cases))
    assert list(found) == ["seed=1", "seed=2", "seed=10"]
    assert [dose for dose, _ in found["seed=2"]] == [0, 4]


@pytest.mark.parametrize("values", [[-0.5, 0, 0.02, 0.1, 1e-05, 2, 10], ["x2", "x10"]])
def test_values_rise_as_numbers(run, values):
    cases = cases_of(axes={"intervention.count": [0, 1]}, dose="intervention.count")
    report = build(run, [result_of(case, first(1, 2)) for case in cases])
    (case, *_) = report.cases
    copies = [case.model_copy(update={"params": {"v": value}}) for value in reversed(values)]
    rising = sorted(values) if isinstance(values[0], float) else values
    assert [members[0][1].params["v"] for members in curves([(0, c) for c in copies]).values()] == (
        rising
    )


def test_baselines_are_on_no_curve(report):
    assert {case.id for _, case in by_dose(report, report.cases)}.isdisjoint(report.baselines)


@pytest.mark.parametrize(
    ("doses", "places"),
    [
        ({0, 1, 3}, {0: 0, 1: 1, 3: 3}),
        ({0, 1, 4}, {0: 0, 1: 1, 4: 2}),
        ({-8, 0, 0.5}, {-8: 0, 0: 1, 0.5: 2}),
        ({2}, {2: 2}),
        (set(), {}),
    ],
)
def test_doses_stand_to_scale_unless_they_would_crowd(doses, places):
    assert places_of(doses) == places
    assert list(places_of(doses)) == sorted(doses)


@given(st.sets(st.floats(-1e6, 1e6, allow_subnormal=False), max_size=6))
def test_a_dose_without_end_stands_last_and_behind_a_break(doses):
    endless = places_of({*doses, math.inf})
    last = endless.pop(math.inf)
    assert endless == places_of(doses)
    assert all(place < last for place in endless.values())
    broken = break_of({**endless, math.inf: last})
    assert (broken is None) == (not doses)
    assert broken is None or max(endless.values()) < broken < last
    assert break_of(endless) is None
    assert are_even({**endless, math.inf: last}) == are_even(endless)


def test_tool_calls_are_shown_where_any_were_made(run):
    results = sweep(doses=(0, 1))
    assert shown_metrics(build(run, results).cases) == [METRIC]
    silent = [called(each, 0) for each in results]
    assert shown_metrics(build(run, silent).cases) == [METRIC]
    assert shown_metrics(build(run, [*silent[:-1], called(silent[-1], 3)]).cases) == [
        METRIC,
        "tool_call",
    ]
    assert shown_metrics([]) == []
