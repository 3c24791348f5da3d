"""Which gates a run is judged by, whoever writes its report."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.claims.claims import Claims, claims_of, findings_of, unjudged
from harness.claims.comparing import Comparing
from harness.claims.saved import SavedRuns
from harness.errors import SpecError
from harness.runs.conclude import conclude
from harness.store.results import Departure, InvariantResult
from tests.report.small_run import sweep


def judged(results):
    """The experiments whose own gate is judged, and those of which it is not."""
    return [name for name, _ in Claims().requested(results)], [
        each.experiment for each in unjudged(results)
    ]


def without_neutral(results):
    return [each for each in results if each.case.dose != 0]


def test_a_neutral_case_is_judged_in_any_selection_and_never_forgotten():
    results = sweep()
    assert judged(results) == judged(results[:2]) == (["keep_topk"], [])
    assert judged(without_neutral(results)) == ([], ["keep_topk"])
    several = [*without_neutral(results), *sweep(name="other")]
    assert judged(several) == (["other"], ["keep_topk"])
    assert judged([]) == ([], [])


def test_two_files_of_one_name_are_one_experiment():
    one, other = sweep(doses=(0, 1)), sweep(doses=(2, 4))
    moved = [
        replace(each, case=replace(each.case, source=replace(each.case.source, file="b.yaml")))
        for each in other
        if each.baseline is not None
    ]
    (waiting,) = unjudged(without_neutral([*one, *moved]))
    assert waiting.needs == "a neutral case (6 of 8 cases selected)"


def test_gates_of_the_command_line_are_asked_of_whatever_has_their_axes():
    results = [*sweep(), *sweep(name="other")]
    claims = Claims(gates=["pass@1 >= 0", "pass@1 >= 0 where depth=3"])
    requested = dict(claims.requested(results))
    assert requested["other"][-1] == requested["keep_topk"][-1] == "pass@1 >= 0"
    part = dict(claims.requested(without_neutral(results)))
    assert part["other"] == ["pass@1 >= 0"], "its own gate waits for a neutral case"


def test_what_a_report_was_judged_by_is_judged_again(run, results, directory):
    gates = ["pass@1 > 1", "parsed >= 0"]
    report = conclude(run, results, directory, claims=Claims(gates=gates)).report
    again = claims_of([report, report], results)
    assert list(again.gates) == gates
    assert conclude(run, results, directory / "again", claims=again).report.gates == report.gates


def test_a_rule_is_judged_again_with_the_run_that_it_names(run, results, directory, tmp_path):
    saved, rule = SavedRuns(tmp_path / "saved"), "pass@1: different"
    conclude(run, results, directory, claims=Claims(comparing=Comparing(save_as="a"), saved=saved))
    asked = Claims(comparing=Comparing("a", [rule]), saved=saved)
    report = conclude(run, results, directory, claims=asked).report
    again = claims_of([report, report], results)
    assert (again.gates, again.comparing) == ([], Comparing("0001_a", [rule]))
    there = replace(again, saved=saved)
    assert conclude(run, results, directory, claims=there).report.gates == report.gates


def test_a_rule_whose_saved_run_is_gone_has_failed(run, results, directory, tmp_path):
    asked = Claims(comparing=Comparing("a", ["pass@1: worse"]), saved=SavedRuns(tmp_path / "none"))
    finished = conclude(run, results, directory, claims=asked)
    gate = finished.report.gates[-1]
    assert (gate.gate, gate.holds) == ("compare a: pass@1: worse", False)
    assert gate.detail.startswith("undecided: a: no saved run of this name")
    assert finished.compared.startswith("not compared: a: no saved run")


def test_findings_on_models_outlive_their_report_and_a_violated_one_stands(run, results, directory):
    def report(*findings):
        return conclude(run, results, directory, findings).report

    holds = InvariantResult("law", "tiny, fast", holds=True, detail="")
    broken = replace(holds, holds=False, departure=Departure("prompt 0", 1, 2, 3, 0.5))
    other = replace(holds, name="other law")
    assert findings_of([report(holds, other), report(broken), report(holds)], results) == (
        broken,
        other,
    )
    assert findings_of([report()], results) == ()


def test_a_rule_without_a_case_to_judge_is_refused():
    claims = Claims(comparing=Comparing("main", ["pass@1: worse"]))
    with pytest.raises(SpecError, match="no case was selected that it could judge"):
        claims.check([])
