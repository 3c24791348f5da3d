from __future__ import annotations

from dataclasses import replace

from harness.report.build import build
from harness.report.page.head import attention, facts, verdicts
from harness.report.report import Unjudged
from harness.report.run_info import Git, ShardInfo
from harness.spec.gates import parse_gate
from harness.store.results import GateResult, InvariantResult


def test_a_violated_check_is_told_first(run, results):
    one, other = (result.case.id for result in results[1:3])
    invariants = [
        InvariantResult("neutral_equals_baseline", one, holds=True, detail=""),
        InvariantResult("neutral_equals_baseline", other, holds=False, detail="at token 3"),
        InvariantResult("engine.order_is_irrelevant", "zoo/moe, fast", holds=False, detail=""),
    ]
    cases, found, gates = verdicts(build(run, results, invariants))
    assert (cases.state, cases.summary) == ("holds", "all 10 complete")
    assert (found.state, found.summary) == ("violated", "2 of 3 violated")
    assert [line.where for line in found.lines] == [other, one]
    assert (gates.state, gates.summary) == ("unchecked", "none checked")


def test_a_gate_that_failed_does_not_hold(run, results):
    gate = GateResult(parse_gate("pass@1 >= 0.9"), "keep_topk", holds=False, detail="0.4")
    *_, gates = verdicts(build(run, results, (), [gate]))
    assert (gates.state, gates.lines[0].detail) == ("violated", "0.4")


def test_what_nothing_decided_was_not_found_untrue(run, results):
    """A gate that has failed for want of samples, and one that waits for other cases."""
    undecided = GateResult(
        parse_gate("pass@1 >= 0.9"), "keep_topk", holds=False, detail="undecided: too few"
    )
    failed = GateResult(parse_gate("pass@1 >= 0.8"), "keep_topk", holds=False, detail="0.4")
    waiting = Unjudged(gate="pass@1 >= 0", experiment="keep_topk", needs="the whole grid")

    def told(*gates):
        report = build(run, results, (), gates).model_copy(update={"unjudged": (waiting,)})
        return verdicts(report)[-1]

    assert (told().state, told().summary) == ("unchecked", "1 not judged")
    assert told().lines[0].detail == "not judged: needs the whole grid"
    assert (told(undecided).state, told(undecided).summary) == (
        "undecided",
        "1 of 1 undecided, 1 not judged",
    )
    both = told(undecided, failed)
    assert (both.state, both.summary) == (
        "violated",
        "1 of 2 violated, 1 of 2 undecided, 1 not judged",
    )
    assert [line.state for line in both.lines] == ["violated", "undecided", "unchecked"]


def test_cases_that_did_not_end_are_counted(run, results):
    results[2] = replace(results[2], status="incomplete", error="interrupted")
    cases, *_ = verdicts(build(run, results))
    assert (cases.state, cases.summary) == ("violated", "9 of 10 complete")


def test_facts_are_all_there(report):
    changed = report.run.model_copy(update={"git": Git(commit="0123456789abcdef", dirty=True)})
    found = dict(facts(report.model_copy(update={"run": changed})))
    made = dict(found["Run"])
    assert made["commit"] == "0123456789, with changes that are not committed"
    assert made["took"] == "299.9 s"
    assert dict(found["Hardware"]) == {"cpu": "x86", "gpus": "none", "memory_gib": "16.5"}
    assert dict(found["Versions"]) == {"torch": "2.8.0"}


def test_a_run_that_did_not_end_says_so(report):
    unfinished = report.run.model_copy(update={"finished": None})
    made = dict(dict(facts(report.model_copy(update={"run": unfinished})))["Run"])
    assert "going on" in made["finished"]


def test_the_worst_of_like_warnings_stands_for_all_after_the_errors(run, results):
    results[1] = replace(results[1], warnings=("2 of 12 cut off",))
    results[2] = replace(results[2], warnings=("11 of 12 cut off",))
    results[3] = replace(results[3], status="failed", error="out of memory")
    error, warning = attention(build(run, results))
    assert (error.kind, error.message, error.serious) == ("failed", "out of memory", True)
    assert (warning.message, warning.serious) == ("11 of 12 cut off", False)
    assert warning.cases == (results[2].case.id, results[1].case.id)


def test_a_shard_says_what_it_leaves_to_the_merge(report):
    shard = ShardInfo(index=1, of=2, cases=(), selection="", gates=("pass@1 >= 0.5",))
    changed = report.model_copy(update={"run": report.run.model_copy(update={"shard": shard})})
    made = dict(dict(facts(changed))["Run"])
    assert (made["shard"], made["left to titrate merge"]) == ("1 of 2", "pass@1 >= 0.5")
