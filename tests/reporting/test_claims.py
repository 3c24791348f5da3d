"""Which gates a run is judged by, whoever writes its report."""

from __future__ import annotations

from dataclasses import replace

from harness.reporting.claims import Claims, claims_of, whole_experiments
from harness.reporting.conclude import conclude

from .small_run import sweep


def names(results):
    return [case.experiment.name for case in whole_experiments(results)]


def test_a_whole_experiment_is_told_from_a_part():
    results = sweep()
    assert names(results) == ["keep_topk"]
    assert names(results[:-1]) == []
    assert names([*results[:-1], *sweep(name="other")]) == ["other"]
    assert names([]) == []


def test_two_files_of_one_name_must_both_be_whole():
    one, other = sweep(doses=(0, 1)), sweep(doses=(2, 4))
    moved = [
        replace(each, case=replace(each.case, source=replace(each.case.source, file="b.yaml")))
        for each in other
        if each.baseline is not None
    ]
    assert names([*one, *moved]) == ["keep_topk"]
    assert names([*one, *moved[:-1]]) == []


def test_gates_of_the_command_line_are_asked_of_whatever_has_their_axes():
    results = [*sweep(), *sweep(name="other")]
    claims = Claims(gates=["pass@1 >= 0", "pass@1 >= 0 where depth=3"])
    requested = dict(claims.requested(results))
    assert requested["other"][-1] == requested["keep_topk"][-1] == "pass@1 >= 0"
    part = dict(claims.requested(results[:-1]))
    assert part["other"] == ["pass@1 >= 0"], "a part decides no gate of its spec"


def test_what_a_report_was_judged_by_is_judged_again(run, results, directory):
    gates = ["pass@1 > 1", "parsed >= 0"]
    report = conclude(run, results, directory, claims=Claims(gates=gates)).report
    again = claims_of([report, report], results)
    assert list(again.gates) == gates
    assert conclude(run, results, directory / "again", claims=again).report.gates == report.gates
