from __future__ import annotations

from dataclasses import replace

import pytest

from harness.claims.gates import check_gates
from harness.spec.gates import parse_gate
from harness.store.results import InvariantResult
from tests.report.small_run import METRIC, cases_of, first, result_of, sweep

NAME = "neutral_equals_baseline"
NEUTRAL = ("keep_topk[style=agentic-count=0]", "keep_topk[style=assisted-count=0]")


def checked(*holds):
    return [
        InvariantResult(NAME, case, holds=each, detail="12 of 12" if each else "s/3 at token 4")
        for case, each in zip(NEUTRAL, holds, strict=False)
    ]


def judged(gate, results, invariants=()):
    (verdict,) = check_gates([("keep_topk", [parse_gate(gate)])], results, invariants)
    assert str(verdict.gate) == gate
    return verdict


def test_it_holds_when_every_neutral_case_equals_its_baseline(results):
    gate = judged(NAME, results, checked(True, True))
    assert gate.holds
    assert gate.detail == "2 of 2 neutral cases equal their baseline"


def test_one_violation_fails_it_and_is_named(results):
    gate = judged(NAME, results, checked(True, False))
    assert not gate.holds
    assert gate.detail == f"{NEUTRAL[1]}: s/3 at token 4"


def test_a_neutral_case_that_was_not_compared_is_undecided(results):
    gate = judged(NAME, results, checked(True))
    assert not gate.holds
    assert gate.detail == f"undecided: {NEUTRAL[1]} was not compared with its baseline"


def test_no_neutral_case_is_undecided():
    gate = judged(NAME, sweep(doses=(1, 2)))
    assert not gate.holds
    assert "no neutral case was run" in gate.detail


def test_invariants_of_other_experiments_and_names_do_not_count(results):
    others = [
        InvariantResult(NAME, "other[count=0]", holds=False, detail=""),
        InvariantResult("something_else", NEUTRAL[0], holds=False, detail=""),
    ]
    assert judged(NAME, results, checked(True, True) + others).holds


def test_gates_are_judged_per_experiment_in_order():
    results = sweep() + sweep(name="other", doses=(1,))
    name, other = parse_gate(NAME), parse_gate("made_up >= 0")
    requested = [("keep_topk", [name, name]), ("other", [name, other])]
    gates = check_gates(requested, results, checked(True, True))
    assert [(gate.experiment, str(gate.gate), gate.holds) for gate in gates] == [
        ("keep_topk", NAME, True),
        ("other", NAME, False),
        ("other", "made_up >= 0", False),
    ]
    assert gates[2].detail.startswith("undecided: no metric 'made_up'")


@pytest.mark.parametrize(
    ("gate", "holds"),
    [
        ("pass@1 >= 0.4", True),
        ("pass@1 >= 0.5", False),  # 5 of 12 at the largest dose
        ("pass@1 > 0.8 where count=0", True),
        ("pass@1 <= 0.8 where count=1", True),
        ("pass@1 < 0.75 where count=1", False),
        ("pass@1 == 0.75 where count=1 and style=agentic", True),
        ("pass@1 > 0.8 where baseline", True),
        ("pass@1 < 0.9 where baseline and style=agentic", False),
        ("pass@1.ci_low >= 0.4 where count=1", True),
        ("pass@1.ci_low >= 0.6 where count=1", False),
        ("pass@1.ci_high <= 0.95 where count=1", True),
    ],
)
def test_thresholds(results, gate, holds):
    assert judged(gate, results).holds == holds


def test_a_missed_threshold_names_case_and_value(results):
    detail = judged("pass@1 >= 0.5", results).detail
    assert detail == ("keep_topk[style=agentic-count=4]: pass@1 is 0.4167, n = 12 (and 1 more)")


@pytest.mark.parametrize(
    ("gate", "says"),
    [
        ("pass@2 >= 0", "no metric 'pass@2'; did you mean pass@1? measured: pass@1"),
        ("pass@1 >= 0 where count=3", "no such case was run"),
    ],
)
def test_what_was_not_measured_is_undecided(results, gate, says):
    verdict = judged(gate, results)
    assert not verdict.holds
    assert verdict.detail == f"undecided: {says}"


def test_a_case_without_numbers_leaves_it_undecided(results):
    results[2] = replace(results[2], status="failed", error="out of memory")
    verdict = judged("pass@1 >= 0", results)
    assert (verdict.holds, verdict.detail) == (
        False,
        "undecided: keep_topk[style=agentic-count=1] is failed",
    )


def test_one_sample_decides_nothing():
    results = [result_of(case, [1.0], baseline=None) for case in cases_of()]
    verdict = judged(f"{METRIC} >= 0", results)
    assert not verdict.holds
    assert "1 sample is too few" in verdict.detail


@pytest.mark.parametrize(
    ("gate", "right", "n", "says"),
    [
        (
            "pass@1 >= 0.9",
            2,
            2,
            "2 samples are too few; with all of them right the interval ",
        ),
        ("pass@1 >= 0.9", 23, 23, "23 samples are too few; with all of them right the "),
        ("pass@1 > 0.9", 24, 24, ""),
        ("pass@1 >= 0.34", 2, 2, "would still begin at 0.33"),
        ("pass@1 >= 0.33", 2, 2, ""),
        ("pass@1 <= 0.1", 0, 23, "with all of them wrong the interval would still end at 0.10"),
        ("pass@1 < 0.1", 0, 24, ""),
        ("pass@1 >= 1", 2, 2, ""),
        ("pass@1 <= 0", 0, 2, ""),
        ("pass@1 == 0.5", 1, 2, ""),
        ("pass@1.ci_low >= 0.33", 2, 2, ""),
    ],
)
def test_too_few_samples_are_those_whose_best_outcome_would_show_nothing(gate, right, n, says):
    results = [result_of(case, first(right, n), baseline=None) for case in cases_of()]
    verdict = judged(gate, results)
    assert verdict.holds == (not says)
    assert verdict.detail.startswith("undecided: ") == bool(says)
    assert says in verdict.detail


def test_a_mean_on_the_wrong_side_is_a_miss_however_few_samples_there_are():
    results = [result_of(case, [1.0, 0.0], baseline=None) for case in cases_of()]
    assert judged("pass@1 >= 0.9", results).detail == "keep_topk: pass@1 is 0.5, n = 2"


def test_what_forward_passes_measure_is_no_share():
    (case,) = cases_of("keep_topk", measure="forward", intervention=None, gates=[])
    verdict = judged("pass@1 >= 0.9", [result_of(case, [0.95, 0.96], baseline=None)])
    assert verdict.holds


def test_a_saved_run_that_is_not_at_hand_is_undecided():
    results = [result_of(case, first(5, 9), baseline=None) for case in cases_of()]
    verdict = judged("no worse than main by more than 0.5 (paired, p < 0.05)", results)
    assert verdict.detail == "undecided: main: no saved runs at hand"
