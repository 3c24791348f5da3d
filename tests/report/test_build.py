from __future__ import annotations

import math
from dataclasses import replace

import pytest

from harness.engines.contract import Completion
from harness.errors import ReportError
from harness.report.build import build
from harness.spec.gates import parse_gate
from harness.statistics.intervals import mean_interval
from harness.statistics.paired import holm, paired, summarise
from harness.store.results import DrawResult, GateResult, InvariantResult
from harness.tasks.base import Score
from tests.report.small_run import METRIC, cases_of, first, result_of, sweep


def with_values(result, values):
    return replace(result, sample_metrics={METRIC: values})


def test_every_result_is_a_case_in_its_place(run, results):
    report = build(run, results)
    assert [case.id for case in report.cases] == [result.case.id for result in results]
    assert report.baselines == {
        "keep_topk[baseline-style=agentic]",
        "keep_topk[baseline-style=assisted]",
    }


def test_a_case_has_metrics_and_its_comparison(run, results):
    case = build(run, results).cases[2]
    own = results[2].sample_metrics[METRIC]
    assert case.metrics == {METRIC: summarise(own)}
    versus = case.versus_baseline[METRIC]
    assert versus.model_copy(update={"p_holm": None}) == paired(
        own, results[0].sample_metrics[METRIC]
    )
    assert case.versus_baseline[METRIC].worse == 2
    assert case.params == {"prompt.style": "agentic", "intervention.count": 1}
    assert (case.dose_axis, case.dose) == ("intervention.count", 1.0)
    assert case.counts == {"changed": 10}
    assert (case.model, case.task.name, case.task.size) == ("zoo/moe", "micro_humaneval", 12)


def test_p_is_corrected_over_the_compared_cases_of_one_experiment(run):
    both = sweep(n=40) + sweep(n=40, name="other", doses=(0, 4))
    report = build(run, both)
    for name in ("keep_topk", "other"):
        compared = [c.versus_baseline[METRIC] for c in report.experiment(name) if c.baseline]
        assert [each.p_holm for each in compared] == holm([each.p for each in compared])
    assert len(compared) == 4


def test_a_baseline_is_compared_with_nothing(run, results):
    case = build(run, results).cases[0]
    assert case.metrics[METRIC].value == pytest.approx(11 / 12)
    assert (case.baseline, case.versus_baseline, case.agreement) == (None, {}, None)


def test_invariants_and_gates_are_carried_over(run, results):
    invariant = InvariantResult("neutral_equals_baseline", "x", holds=False, detail="at token 3")
    gate = GateResult(
        parse_gate("neutral_equals_baseline"), "keep_topk", holds=True, detail="1 of 1"
    )
    report = build(run, results, [invariant], [gate])
    assert report.invariants[0].detail == "at token 3"
    assert report.gates[0].holds


@pytest.mark.parametrize("status", ["incomplete", "failed"])
def test_an_unfinished_case_keeps_its_place_without_numbers(run, results, status):
    results[2] = replace(results[2], status=status, error="out of memory")
    case = build(run, results).cases[2]
    assert (case.status, case.error) == (status, "out of memory")
    assert (case.metrics, case.versus_baseline, case.agreement) == ({}, {}, None)


def test_an_unfinished_baseline_leaves_metrics_and_a_warning(run, results):
    results[0] = replace(results[0], status="incomplete")
    case = build(run, results).cases[1]
    assert METRIC in case.metrics
    assert (case.versus_baseline, case.agreement) == ({}, None)
    assert case.warnings == (
        "not compared with keep_topk[baseline-style=agentic]: it is incomplete",
    )


def test_a_missing_baseline_leaves_a_warning(run, results):
    case = build(run, results[1:]).cases[0]
    assert case.warnings[0].endswith("it is not part of this run")


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_value_that_is_not_finite_fails_its_case_alone(run, results, value):
    values = dict(results[2].sample_metrics[METRIC]) | {"s/3": value}
    results[2] = with_values(results[2], values)
    cases = build(run, results).cases
    assert [case.status for case in cases].count("failed") == 1
    assert cases[2].metrics == {}
    assert cases[2].error == f"pass@1: sample 's/3' has the value {value}; values must be finite"


def test_a_sample_that_was_left_out_fails_the_case(run, results):
    values = dict(results[2].sample_metrics[METRIC])
    del values["s/3"]
    results[2] = with_values(results[2], values)
    case = build(run, results).cases[2]
    assert case.status == "failed"
    assert case.error.startswith("pass@1: 11 samples have a value, micro_humaneval has 12")


def test_a_case_without_its_primary_metric_fails(run, results):
    results[2] = replace(results[2], sample_metrics={})
    assert build(run, results).cases[2].error == "pass@1: not measured, though the case ended"


def test_other_samples_than_the_baselines_are_not_compared(run, results):
    values = {f"other/{index}": 1.0 for index in range(12)}
    results[2] = with_values(results[2], values)
    case = build(run, results).cases[2]
    assert case.versus_baseline == {}
    assert "24 samples have no partner" in case.warnings[0]


def test_agreement_is_averaged_over_samples_and_identity_needs_every_draw(run):
    case = cases_of()[0]
    base = case.baseline

    def draw(sample, number, tokens, agreement=None):
        completion = Completion(tokens, "", "stop")
        return DrawResult(sample, number, "", completion, Score(True, True), agreement)

    theirs = (draw("a", 0, (1, 2)), draw("a", 1, (1, 2)), draw("b", 0, (1, 2)))
    # The first sample's second draw is a beginning of the baseline's: it agrees and differs.
    ours = (draw("a", 0, (1, 2), 2), draw("a", 1, (1,), 1), draw("b", 0, (1, 2), 2))
    values = {METRIC: {"a": 1.0, "b": 1.0}}
    baseline = result_of(base, [1, 1], draws=theirs, sample_metrics=values)
    result = result_of(case, [1, 1], draws=ours, sample_metrics=values)
    agreement = build(run, [baseline, result]).cases[1].agreement
    assert agreement.tokens == pytest.approx((1.5 + 2) / 2)
    low, high = mean_interval([1.5, 2.0])
    assert (agreement.ci_low, agreement.ci_high) == (max(low, 0.0), high)
    assert agreement.identical == 0.5
    unknown = replace(result, draws=(replace(ours[0], agreement=None), *ours[1:]))
    assert build(run, [baseline, unknown]).cases[1].agreement is None


def test_the_dose_axis_is_the_interventions_where_two_axes_fit(run):
    axes = {"seed": [0], "intervention.count": [0]}
    results = [result_of(c, first(1, 2)) for c in cases_of(axes=axes, dose="intervention.count")]
    assert build(run, results).cases[0].dose_axis == "intervention.count"
    (plain,) = build(run, [result_of(cases_of()[0], first(1, 2))]).cases
    assert (plain.dose_axis, plain.dose) == (None, None)


def test_a_time_that_is_not_a_number_is_one_line(run, results):
    results[0] = replace(results[0], seconds=math.nan)
    with pytest.raises(ReportError, match="seconds: nan") as caught:
        build(run, results)
    assert "\n" not in str(caught.value)


def test_two_experiments_stay_apart(run):
    report = build(run, sweep(name="one") + sweep(name="two"))
    assert report.experiments == ("one", "two")
    assert {case.experiment for case in report.experiment("two")} == {"two"}
