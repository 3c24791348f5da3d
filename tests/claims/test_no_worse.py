from __future__ import annotations

from dataclasses import replace

import pytest

from harness.claims.gates import check_gates
from harness.claims.saved import SavedRun
from harness.errors import ReportError
from harness.report.build import build
from harness.spec.gates import parse_gate
from tests.report.small_run import METRIC, cases_of, first, result_of

GATE = "no worse than main by more than 0.1 (paired, p < 0.05)"


def results_of(right, n=100, **fields):
    return [result_of(case, first(right, n), baseline=None, **fields) for case in cases_of()]


@pytest.fixture
def main(run):
    results = results_of(80)
    return SavedRun.of(build(run, results), results, "main")


def judged(results, saved, gate=GATE):
    def find(name):
        if name != saved.name:
            raise ReportError(f"{name}: no saved run of this name")
        return saved

    (verdict,) = check_gates([("keep_topk", [parse_gate(gate)])], results, [], find)
    return verdict


def test_the_same_again_is_shown_to_be_no_worse(main):
    verdict = judged(results_of(80), main)
    assert verdict.holds
    assert verdict.detail == "1 of 1 cases, from main"


def test_a_small_loss_within_the_margin_passes_and_a_large_one_fails(main):
    assert judged(results_of(77), main).holds
    lost = judged(results_of(50), main)
    assert not lost.holds
    assert lost.detail.startswith("keep_topk: [-0.38")


def test_a_loss_about_the_margin_is_undecided_and_so_are_few_samples(main, run):
    between = judged(results_of(72), main)
    assert not between.holds
    assert between.detail.startswith("undecided: ")
    assert "100 samples are too few to exclude -0.1" in between.detail
    few = results_of(8, n=10)
    saved = SavedRun.of(build(run, few), few, "main")
    assert not judged(few, saved).holds


def test_a_stricter_level_needs_more_samples(main):
    assert judged(results_of(77), main).holds
    strict = GATE.replace("0.05", "0.0001")
    assert judged(results_of(77), main, strict).detail.startswith("undecided")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"task_version": 2}, "version 2, but main has micro_humaneval version 1"),
        ({"sample_metrics": {METRIC: {f"x/{i}": 1.0 for i in range(100)}}}, "no partner"),
        ({"sample_metrics": {"parsed": {"s/0": 1.0}}}, "no metric 'pass@1'"),
        ({"status": "incomplete"}, "keep_topk is incomplete"),
    ],
)
def test_what_cannot_be_paired_is_undecided(main, change, says):
    verdict = judged([replace(each, **change) for each in results_of(80)], main)
    assert not verdict.holds
    assert verdict.detail.startswith("undecided: ")
    assert says in verdict.detail


def test_a_case_that_was_not_saved_and_a_run_that_does_not_exist_are_undecided(main):
    cases = cases_of(axes={"seed": [0, 1]})
    results = [result_of(case, first(80, 100), baseline=None) for case in cases]
    assert "main has no case keep_topk[seed=0]" in judged(results, main).detail
    other = GATE.replace("main", "other")
    assert judged(results_of(80), main, other).detail == (
        "undecided: other: no saved run of this name"
    )
