from __future__ import annotations

from harness.reporting import check_gates, neutral_equals_baseline
from harness.runs.results import InvariantResult

from .small_run import sweep

NAME = "neutral_equals_baseline"
NEUTRAL = ("keep_topk[style=agentic-count=0]", "keep_topk[style=assisted-count=0]")


def checked(*holds):
    return [
        InvariantResult(NAME, case, holds=each, detail="12 of 12" if each else "s/3 at token 4")
        for case, each in zip(NEUTRAL, holds, strict=False)
    ]


def test_it_holds_when_every_neutral_case_equals_its_baseline(results):
    gate = neutral_equals_baseline("keep_topk", results, checked(True, True))
    assert gate.holds
    assert gate.detail == "2 of 2 neutral cases equal their baseline"


def test_one_violation_fails_it_and_is_named(results):
    gate = neutral_equals_baseline("keep_topk", results, checked(True, False))
    assert not gate.holds
    assert gate.detail == f"{NEUTRAL[1]}: s/3 at token 4"


def test_a_neutral_case_that_was_not_compared_is_undecided(results):
    gate = neutral_equals_baseline("keep_topk", results, checked(True))
    assert not gate.holds
    assert gate.detail == f"undecided: {NEUTRAL[1]} was not compared with its baseline"


def test_no_neutral_case_is_undecided():
    gate = neutral_equals_baseline("keep_topk", sweep(doses=(1, 2)), [])
    assert not gate.holds
    assert "no neutral case was run" in gate.detail


def test_invariants_of_other_experiments_and_names_do_not_count(results):
    others = [
        InvariantResult(NAME, "other[count=0]", holds=False, detail=""),
        InvariantResult("something_else", NEUTRAL[0], holds=False, detail=""),
    ]
    assert neutral_equals_baseline("keep_topk", results, checked(True, True) + others).holds


def test_gates_are_judged_per_experiment_in_order():
    results = sweep() + sweep(name="other", doses=(1,))
    requested = [("keep_topk", [NAME, NAME]), ("other", [NAME, "made_up"])]
    gates = check_gates(requested, results, checked(True, True))
    assert [(gate.experiment, gate.gate, gate.holds) for gate in gates] == [
        ("keep_topk", NAME, True),
        ("other", NAME, False),
        ("other", "made_up", False),
    ]
    assert gates[2].detail == f"unknown; known: {NAME}"
