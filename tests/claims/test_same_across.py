from __future__ import annotations

from dataclasses import replace

import pytest

from harness.claims.gates import check_gates
from harness.engines.contract import Completion
from harness.spec.gates import parse_gate
from tests.report.small_run import cases_of, first, result_of

AXES = {"engine.drafts": [True, False], "intervention.count": [0, 4]}


@pytest.fixture
def results():
    """Two doses with and without drafts, after the two baselines."""
    cases = cases_of(axes=AXES, dose="intervention.count")
    baselines = {case.baseline.id: case.baseline for case in cases}
    return [result_of(case, first(2, 3)) for case in [*baselines.values(), *cases]]


def judged(results, gate="same across engine.drafts"):
    (verdict,) = check_gates([("keep_topk", [parse_gate(gate)])], results, [])
    return verdict


def with_completion(result, completion, sample=1):
    draws = list(result.draws)
    draws[sample] = replace(draws[sample], completion=completion)
    return replace(result, draws=tuple(draws))


def test_cases_and_baselines_are_compared_with_their_match(results):
    verdict = judged(results)
    assert verdict.holds
    assert verdict.detail == "3 of 3 cases equal their match along engine.drafts"
    assert judged(results, "same across drafts where count=4").detail.startswith("1 of 1 cases")


@pytest.mark.parametrize("changed", range(6))
def test_one_other_token_anywhere_is_found(results, changed):
    other = Completion((1, 2, 9, 4), "text", "stop")
    results[changed] = with_completion(results[changed], other)
    verdict = judged(results)
    assert not verdict.holds
    assert verdict.detail.startswith("2 of 3 cases equal their match along engine.drafts; ")
    assert "differ, first in s/1 at token 2: " in verdict.detail


def test_what_differs_along_another_axis_is_not_compared(results):
    """The doses differ from each other; drafts change neither."""
    other = Completion((5, 6), "text", "stop")
    for at, result in enumerate(results):
        if result.case.params.get("intervention.count") == 4:
            results[at] = with_completion(result, other)
    assert judged(results).holds
    assert not judged(results, "same across count").holds


@pytest.mark.parametrize(("gap", "holds"), [(5e-5, True), (2e-4, False), (float("nan"), False)])
def test_log_probabilities_are_compared_too(results, gap, holds):
    for at, off in ((2, 0.0), (4, gap)):
        scores = (-1.0, -1.0 + off, -1.0, -1.0)
        same = Completion((1, 2, 3, 4), "text", "stop", log_probabilities=scores)
        results[at] = with_completion(results[at], same)
    assert judged(results, "same across drafts where count=0").holds is holds


def test_forward_passes_are_compared_by_what_they_measured():
    cases = cases_of(axes=AXES, dose="intervention.count", measure="forward")
    measured = [result_of(case, (0.5, 7.0), baseline=None, draws=()) for case in cases]
    assert judged(measured).holds
    values = {metric: dict.fromkeys(own, 7.1) for metric, own in measured[3].sample_metrics.items()}
    measured[3] = replace(measured[3], sample_metrics=values)
    verdict = judged(measured)
    assert not verdict.holds
    assert "differ, first in pass@1 of s/0: 7.1 instead of 0.5 (and 1 more)" in verdict.detail


@pytest.mark.parametrize("lacks", ["a sample", "a draw"])
def test_cases_that_were_not_asked_the_same_decide_nothing(results, lacks):
    """An axis over the samples or the draws, such as task.limit, has nothing to be the same in."""
    last = results[5]
    draws, values = last.draws[:2], last.sample_metrics
    if lacks == "a sample":
        values = {name: dict(list(own.items())[:2]) for name, own in values.items()}
    results[5] = replace(last, draws=draws, sample_metrics=values)
    verdict = judged(results)
    assert not verdict.holds
    assert verdict.detail.startswith("undecided: ")
    assert verdict.detail.endswith("were not asked the same")


def test_a_missing_match_decides_nothing(results):
    for left in (results[:5], [each for each in results if each.case.params["engine.drafts"]]):
        verdict = judged(left)
        assert not verdict.holds
        assert verdict.detail.startswith("undecided: ")
    failed = [*results[:5], replace(results[5], status="failed", error="no")]
    assert judged(failed).detail.endswith("is failed")
