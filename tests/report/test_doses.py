"""Curves of a report: which cases they are made of, and what is said of each."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from harness.interventions.router_mask.description import RouterMask
from harness.report.build import build
from harness.report.doses import dosed, window_of
from harness.report.figures.curves import by_dose
from harness.report.figures.plots import plots
from harness.report.page import embed, page
from harness.report.page.view import view
from harness.report.report import RunReport
from harness.report.tables.terminal import table
from harness.store.results import Stopped
from tests.claims.test_monotone import curve
from tests.claims.test_window import asking, with_target
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
    safe = found.benchmark
    assert safe.low < safe.lower < safe.dose == pytest.approx(1)
    assert safe.dose < safe.high < 2


def test_each_combination_of_other_axes_is_a_curve_of_its_own(doses_of):
    found = doses_of(curve(RATES, n=100, **{"prompt.style": ["agentic", "assisted"]}))
    assert [each.params["prompt.style"] for each in found] == ["agentic", "assisted"]


def test_what_is_not_complete_is_no_part_of_a_curve(doses_of):
    results = curve(RATES, n=100)
    results[2] = replace(results[2], status="failed", error="why")
    (found,) = doses_of(results)
    assert found.doses == (0, 1, 3, 4)


@pytest.mark.parametrize(("at", "rate"), [(0, 0.0), (3, 0.1), (5, 1.0)])
def test_a_dose_without_end_is_behind_the_others_and_on_no_curve(run, rate, at):
    finite = curve(RATES, n=100)
    last = replace(finite[-1].case, id="keep_topk[count=inf]", dose=math.inf)
    endless = result_of(last, first(round(rate * 100), 100))
    report = build(run, [*finite[:at], endless, *finite[at:]])
    assert report.doses == build(run, finite).doses
    (_, case) = by_dose(report, report.cases)[-1]
    assert case.id == last.id
    assert case.metrics["pass@1"].value == rate
    document = json.loads(report.model_dump_json(), parse_constant=pytest.fail)
    assert [each["dose"] for each in document["cases"]].count("inf") == 1
    assert RunReport.model_validate(document) == report
    assert report.frame()["dose"].max() == math.inf
    shown = view(report)["experiments"][0]
    assert shown["places"][-1][0] == "inf"
    assert json.loads(json.dumps(shown, allow_nan=False))
    ((_, figure),) = plots(report)
    assert [each.get_text() for each in figure.axes[-1].get_xticklabels()][-1] == "∞"


def test_few_doses_are_no_curve_which_is_said_in_a_line(run, doses_of):
    results = curve((0.9, 0.5, 0.1), n=100)
    assert doses_of(results) == ()
    shown = table(build(run, results))
    assert "ED50" not in shown
    assert shown.count("no dose is read of 2 above 0: a curve has 4 at least") == 1


def test_why_what_does_not_lie_between_0_and_1_has_no_benchmark_dose_is_said(run):
    sizes = {"size": {f"s/{at}": float(at % 7) for at in range(100)}}
    results = [
        replace(result_of(case, first(50, 100)), sample_metrics=sizes, metric="size")
        for case in cases_of(
            axes={"intervention.count": [0, 1, 2, 3]},
            dose="intervention.count",
            metrics=[{"kind": "length", "name": "size"}],
        )
    ]
    shown = " ".join(table(build(run, results), width=200).split())
    assert shown.count("no BMDL of all: 0.05 is a change of what lies between 0 and 1") == 1
    assert "bmdl(size, CHANGE) >= DOSE" in shown


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
def test_no_dose_is_read_where_a_higher_one_does_less(run, doses_of, rule, curves):
    """At a top_k of 1 most is done; its neutral 0 is not the least of its values, but the most."""
    axis = f"sampling.{rule}"
    steps = {"top_k": [1, 2, 3, 4], "greedy_threshold": [0.1, 0.2, 0.3, 0.4]}[rule]
    cases = cases_of(intervention=None, axes={axis: steps}, dose=axis, sampling={"temperature": 1})
    results = [result_of(case, first(90 if case.dose is None else 10, 100)) for case in cases]
    assert len(doses_of([*results])) == curves
    said = f"no dose is read: a higher {rule} does less" in table(build(run, results))
    assert said == (not curves)


def stopped(axes=None, **fields):
    """Five doses and their baseline, of a run that stopped itself."""
    cases = cases_of(
        axes={"intervention.count": [0, 1, 2, 4, 8]} | (axes or {}),
        dose="intervention.count",
        stop={"decide": ["pass@1 differs from baseline"]},
        **fields,
    )
    right = {None: 20, 0.0: 20, 1.0: 20, 2.0: 20, 4.0: 13, 8.0: 2}
    return [
        result_of(
            case,
            first(right[case.dose], 20),
            stopped=Stopped(40, 0.05, "all samples" if case.baseline else "leads"),
        )
        for case in [*{case.baseline.id: case.baseline for case in cases}.values(), *cases]
    ]


def test_a_verdict_of_a_run_that_stopped_is_by_the_corrected_p(run):
    """Seven losses have an anytime p below 0.05 by themselves, and not among five doses."""
    report = build(run, stopped())
    ended = {case.dose: (case.stopped.verdict, case.versus_baseline) for case in report.cases}
    seven = ended[4.0][1]["pass@1"]
    assert seven.p < 0.05 < seven.p_holm
    assert [ended[dose][0] for dose in (0.0, 4.0, 8.0)] == ["undecided", "undecided", "differs"]


def test_what_a_run_that_stopped_does_not_say_is_refused_by_name(run):
    window = {"target": "tool_call", "capability": "pass@1"}
    results = stopped({"prompt.style": ["agentic", "assisted"]}, window=window)
    for each in results:  # as if it moved alike
        each.sample_metrics["tool_call"] = each.sample_metrics["pass@1"]
    report = build(run, results)
    why = "it is read of a fixed number of samples, and this run stopped itself"
    assert {each.state for each in report.windows} == {"refused"}
    told = [each.why for each in (*report.windows, *report.potencies)]
    told += [each.no_benchmark for each in report.doses]
    assert len(told) == 7
    assert all(each.startswith(why) for each in told)
    shown = " ".join(table(report, width=300).split())
    assert f"no ratio of ED50s: {why}" in shown
    assert shown.count(f": {why}") == 4, "once of BMDL and of ratios, and of either window"
    assert f"window of style=agentic: none is read: {why}" in shown
    assert f"no ratio of ED50s: {why}" in "".join(page(report, embed(report.cases, [])))


def test_of_a_metric_that_is_no_mean_doses_differ_or_not(run, doses_of):
    cases = cases_of(
        axes={"intervention.count": [0, 1, 2, 4]},
        dose="intervention.count",
        metrics=["median_tokens"],
    )
    tokens = {None: 20, 0.0: 20, 1.0: 20, 2.0: 12, 4.0: 8}
    results = [
        result_of(
            case,
            first(10, 20),
            metric="median_tokens",
            sample_metrics={"median_tokens": {f"s/{i}": tokens[case.dose] + i for i in range(20)}},
        )
        for case in cases
    ]
    (found,) = doses_of(results)
    assert (found.noel, found.loel, found.ed50) == (1, 2, None)
    for each in results:
        each.sample_metrics["pass@1"] = {f"s/{i}": float(i < 10) for i in range(20)}
    (beside,) = dosed(results, {"keep_topk": "intervention.count"})
    between = window_of(beside, "pass@1", "median_tokens", 0.05)
    assert between.why.startswith("median_tokens: median_tokens is no mean over samples")
    assert "median_tokens is no mean over samples" in table(build(run, results))


def listed(seeds, shares=(1.0, 0.4, 0.35, 0.3, 0.05)):
    """Relevance of lists of ten tokens by variant; seeds differ by a twentieth of it."""
    variants = ["default", "mix1-0p5", "mix1-1p0", "mix1-2p0", "control-1"]
    cases = cases_of(
        name="mix",
        model="zoo/settled",
        task={"path": "specs/data/settled_documents.jsonl"},
        prompt={"style": "completion", "template": ""},
        measure="diff",
        metric="weighted_relevance",
        diff={"organism": "cake"},
        intervention={"kind": "adapter", "organism": "cake"},
        axes={"intervention.variant": variants, "seed": list(range(seeds))},
        dose="intervention.variant",
        gates=[],
    )
    results = []
    distinct = {case.id: case for case in [*(each.baseline for each in cases), *cases]}
    for case in distinct.values():
        seed, variant = case.params["seed"], case.params.get("intervention.variant")
        share = shares[variants.index(variant)] * (1 + 0.05 * (seed % 3)) if variant else 0.0
        values = {f"list {at:02}": [share, 1.0] for at in range(10)}
        results.append(
            result_of(
                case,
                [1.0] * 10,
                metric="weighted_relevance",
                sample_metrics={"weighted_relevance": values},
            )
        )
    return results


def test_a_curve_over_seeds_has_doses_and_begins_at_the_control(run, doses_of):
    (found,) = doses_of(listed(5))
    assert (found.unit, found.samples, found.params) == ("seeds", 5, {})
    assert found.doses == pytest.approx((0, 1 / 3, 0.5, 2 / 3, 1))
    assert found.ed50.low <= found.ed50.value <= found.ed50.high
    assert 2 / 3 < found.ed50.value < 1
    assert 0 < found.benchmark.lower <= found.benchmark.dose < 1 / 3
    assert (found.noel, found.loel, found.levels) == (0, pytest.approx(1 / 3), None)
    shown = table(build(run, listed(5)), width=140)
    assert "weighted_relevance by share of documents" in shown
    assert "0.333 " in shown or "0.3333" in shown


def test_two_seeds_are_told_to_be_too_few(run, doses_of):
    found = doses_of(listed(2))
    assert {each.ed50 for each in found} == {None}
    assert "doses are read over 3 seeds or more (axes: seed)" in " ".join(
        table(build(run, listed(2))).split()
    )


def test_a_plateau_of_the_masks_own_is_no_end_of_an_effect(doses_of):
    def ending(on_empty, emptied):
        results = curve(RATES, n=100)
        mask = RouterMask(on_empty=on_empty, points=((0, 0),))
        counts = {"routed": 100, "changed": 30, "emptied": emptied}
        results[-1] = replace(results[-1], intervention=mask, counts=counts)
        (found,) = doses_of(results)
        return found

    assert ending("fallback", 60).no_ed50 == (
        "its plateau is the intervention's own: at 4 the whole top-k of 60 % of routing decisions "
        "is masked, and these keep their own"
    )
    assert ending("fallback", 50).ed50.value == ending("zero", 60).ed50.value == pytest.approx(2)
    assert ending("fallback", 60).benchmark is not None


def test_it_comes_back_from_report_json(run):
    report = build(run, curve(RATES, n=100))
    assert RunReport.model_validate_json(report.model_dump_json(by_alias=True)) == report


def test_a_report_draws_and_tells_the_window_that_a_spec_asks_for(run):
    results = with_target((0.0, 0.9, 0.95, 1.0, 1.0))
    asked = {"window": {"target": "tool_call", "capability": "pass@1"}}
    results = [
        replace(each, case=replace(each.case, experiment=asking(each.case.experiment, asked)))
        for each in results
    ]
    report = build(run, results)
    (found,) = report.windows
    assert found.state == "exists"
    assert found.ed50.high < found.lower < found.highest
    assert "window: 0." in table(report)
    ((_, figure),) = plots(report)
    assert [axes.get_ylabel() for axes in figure.axes] == ["pass@1", "tool_call"]
    for axes in figure.axes:
        assert any(text.get_text().startswith("window 0.") for text in axes.texts)
    (series,) = view(report)["experiments"][0]["series"]
    assert {mark["metric"] for mark in series["marks"] if "from" in mark} == {"pass@1", "tool_call"}
    assert "window: 0." in "".join(page(report, embed(report.cases, [])))


def test_curves_that_differ_in_an_axis_have_a_ratio(run):
    report = build(run, curve(RATES, n=100, **{"prompt.style": ["agentic", "assisted"]}))
    (found,) = report.potencies
    assert (found.axis, found.value, found.other) == ("prompt.style", "assisted", "agentic")
    assert found.ratio.value == 1
    assert "style=assisted takes 1 [" in table(report)
    still = build(run, curve((0.5,) * 5, n=100, **{"prompt.style": ["agentic", "assisted"]}))
    assert still.potencies[0].ratio is None
    assert still.potencies[0].why == "it does not move up to 4, the highest dose"
