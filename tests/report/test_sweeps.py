"""Sweeps over seeds: points, intervals, trends, and what is missing."""

import pytest
from scipy import stats

from harness.report.figures.sweep_plots import sweep_plots
from harness.report.report import CaseReport, TaskInfo
from harness.report.sweeps import sweeps
from harness.statistics.estimates import Metric

VALUES = {"a": [0.8, 0.9, 0.7], "b": [0.5, 0.5, 0.5], "c": [0.2, 0.1, 0.3]}


def case(method, mix, seed, value):
    metrics = {
        "relevance": Metric(value=value, ci_low=value / 2, ci_high=0.95, n=20, method="own"),
        "chance": Metric(value=0.01, ci_low=None, ci_high=None, n=20, method="t_hall"),
    }
    return CaseReport(
        id=f"x[{method}-{mix}-{seed}]",
        nodeid=None,
        experiment="x",
        model="m",
        task=TaskInfo(name="t", version=1, size=20),
        params={"diff.method": method, "diff.tuned": mix, "seed": seed},
        settings={"measure": "diff"},
        dose_axis=None,
        dose=None,
        baseline=None,
        grid=6,
        tokens=0,
        seconds=0,
        status="failed" if value is None else "complete",
        metric="relevance",
        metrics={} if value is None else metrics,
    )


@pytest.fixture
def cases():
    return [
        case("adl", mix, seed, value)
        for mix, values in VALUES.items()
        for seed, value in enumerate(values)
    ]


def test_a_point_is_the_mean_over_seeds_with_students_interval(cases):
    (sweep,) = sweeps(cases, "relevance", "chance")
    first, second, third = sweep.points
    assert (first.label, first.seeds, first.chance) == ("a", (0.8, 0.9, 0.7), 0.01)
    low, high = stats.ttest_1samp(first.seeds, 0).confidence_interval()
    assert (first.low, first.high) == pytest.approx((low, min(high, 1)), abs=1e-6)
    # Seeds agree: the bounds are the cases' own.
    assert (second.low, second.high) == pytest.approx((0.25, 0.95))
    assert third.low >= 0


def test_raters_that_seeds_share_are_in_a_point(cases):
    """Seeds that agree say nothing of other judges; the cases' own intervals do."""
    (alone,) = sweeps(cases, "relevance")
    for each in cases:
        each.metrics["alpha"] = each.metrics["chance"]
    (rated,) = sweeps(cases, "relevance", rated="alpha")
    for own, wider in zip(alone.points, rated.points, strict=True):
        assert wider.low <= own.low
        assert wider.high >= own.high
    assert rated.points[2].high > alone.points[2].high + 0.2


def test_a_word_among_numbers_is_shown_and_no_part_of_the_trend(cases):
    for each, value in zip(cases, [0.5] * 3 + [0.9] * 3 + ["legible"] * 3, strict=True):
        each.params["diff.tuned"] = value
    (sweep,) = sweeps(cases, "relevance")
    assert [point.label for point in sweep.points] == ["0.5", "0.9", "legible"]
    (numbers,) = sweeps(cases[:6], "relevance")
    assert sweep.trend == numbers.trend


def test_a_trend_falls_where_values_fall(cases):
    (sweep,) = sweeps(cases, "relevance")
    assert sweep.trend.rho < -0.9
    assert sweep.trend.p < 0.01
    assert sweep.points[0].chance is None


def test_a_value_without_a_case_is_told(cases):
    cases[0:3] = []
    cases.append(
        CaseReport(
            **{
                **cases[0].model_dump(),
                "id": "f",
                "metrics": {},
                "status": "failed",
                "params": {**cases[0].params, "diff.tuned": "z"},
            }
        )
    )
    (sweep,) = sweeps(cases, "relevance")
    assert sweep.missing == ("z",)
    assert [point.label for point in sweep.points] == ["b", "c"]


def test_every_axis_has_lines_over_the_others(cases):
    others = [case("kl", mix, 0, 0.1) for mix in VALUES]
    found = sweeps([*cases, *others], "relevance")
    assert [(each.axis, each.others) for each in found] == [
        ("method", "tuned=a"),
        ("method", "tuned=b"),
        ("method", "tuned=c"),
        ("tuned", "method=adl"),
        ("tuned", "method=kl"),
    ]
    assert found[-1].trend is None


def test_an_axis_without_an_order_has_no_trend(cases):
    others = [case("kl", mix, 0, 0.1) for mix in VALUES]
    found = sweeps([*cases, *others], "relevance", unordered={"diff.method"})
    assert {each.axis for each in found} == {"tuned"}
    (alone,) = sweeps(cases, "relevance", unordered={"diff.tuned"})
    assert alone.trend is None


def test_a_control_is_shown_and_no_part_of_the_trend(cases):
    (sweep,) = sweeps(cases, "relevance", controls={"c"})
    (without,) = sweeps([case for case in cases if case.params["diff.tuned"] != "c"], "relevance")
    assert sweep.trend == without.trend
    assert sweep.points[-1].label == "c"


def test_lines_that_are_the_same_are_drawn_once():
    twice = [
        case(method, mix, seed, value)
        for method in ("adl", "kl")
        for mix, values in VALUES.items()
        for seed, value in enumerate(values)
    ]
    lines = sweeps(twice, "relevance", unordered={"diff.method"})
    assert len(lines) == 2
    ((axis, figure),) = sweep_plots(lines, "x", "m", "relevance")
    (label,) = figure.axes[0].get_legend_handles_labels()[1]
    assert axis == "tuned"
    assert label.startswith("method=adl and 1 alike, ")
