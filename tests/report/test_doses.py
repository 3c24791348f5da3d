"""Curves of a report: which cases they are made of, and what is said of each."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.report.build import build
from harness.report.report import RunReport
from harness.report.tables.terminal import table
from tests.claims.test_monotone import curve
from tests.report.small_run import cases_of, first, result_of

RATES = (0.9, 0.85, 0.5, 0.1, 0.1)


@pytest.fixture
def doses_of(run):
    return lambda results: build(run, results).doses


def test_a_curve_begins_at_its_neutral_dose_and_has_every_number(doses_of):
    (found,) = doses_of(curve(RATES, n=100))
    assert found.doses == (0, 1, 2, 3, 4)
    assert (found.metric, found.samples, found.scale) == ("pass@1", 100, "log2(dose + 1)")
    assert found.ed50.value == pytest.approx(2)
    assert (found.noel, found.loel) == (1, 2)
    assert found.benchmark.lower < found.benchmark.dose == pytest.approx(1)


def test_each_combination_of_other_axes_is_a_curve_of_its_own(doses_of):
    found = doses_of(curve(RATES, n=100, **{"prompt.style": ["agentic", "assisted"]}))
    assert [each.params["prompt.style"] for each in found] == ["agentic", "assisted"]


def test_what_is_not_complete_is_no_part_of_a_curve(doses_of):
    results = curve(RATES, n=100)
    results[2] = replace(results[2], status="failed", error="why")
    (found,) = doses_of(results)
    assert found.doses == (0, 1, 3, 4)


def test_few_doses_are_no_curve_and_nothing_is_said(run, doses_of):
    results = curve((0.9, 0.5, 0.1), n=100)
    assert doses_of(results) == ()
    assert "ED50" not in table(build(run, results))


@pytest.mark.parametrize("width", [80, 100, 140])
def test_it_stands_below_the_table(run, width):
    report = build(run, curve(RATES, n=100, **{"prompt.style": ["agentic", "assisted"]}))
    shown = table(report, width=width)
    assert "ED50" in shown
    assert shown.count(" 2 [1.") == 2
    assert max(map(len, shown.splitlines())) <= width


def test_why_there_is_no_ed50_is_told_once(run):
    report = build(run, curve((0.5,) * 5, n=100, **{"prompt.style": ["agentic", "assisted"]}))
    shown = " ".join(table(report, width=100).split())
    assert shown.count("it does not move up to 4, the highest dose") == 1


@pytest.mark.parametrize(("rule", "curves"), [("top_k", 0), ("greedy_threshold", 1)])
def test_no_dose_is_read_where_a_higher_one_does_less(doses_of, rule, curves):
    """At a top_k of 1 most is done; its neutral 0 is not the least of its values, but the most."""
    axis = f"sampling.{rule}"
    steps = {"top_k": [1, 2, 3, 4], "greedy_threshold": [0.1, 0.2, 0.3, 0.4]}[rule]
    cases = cases_of(intervention=None, axes={axis: steps}, dose=axis, sampling={"temperature": 1})
    results = [result_of(case, first(90 if case.dose is None else 10, 100)) for case in cases]
    assert len(doses_of([*results])) == curves


def test_it_comes_back_from_report_json(run):
    report = build(run, curve(RATES, n=100))
    assert RunReport.model_validate_json(report.model_dump_json(by_alias=True)) == report
