"""Which gates a run is judged by, whoever writes its report."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.claims.claims import Claims, claims_of, findings_of
from harness.claims.saved import SavedRuns
from harness.errors import OptionError, ReportError
from harness.runs.conclude import conclude
from harness.spec.gates import parse_gate, parse_rule
from harness.store.results import Departure, InvariantResult
from tests.report.small_run import sweep


def judged(results):
    """The experiments whose own gate is judged, and those of which it is not."""
    found = Claims().asked(results)
    return [each.experiment for each in found if each.gates], [
        each.experiment for each in found for _ in each.waiting
    ]


def requested(claims, results):
    return {each.experiment: list(map(str, each.gates)) for each in claims.asked(results)}


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
    (asked,) = Claims().asked(without_neutral([*one, *moved]))
    (needs,) = asked.waiting.values()
    assert needs == "a neutral case (6 of 8 cases selected)"


def test_gates_of_the_command_line_are_asked_of_whatever_has_their_axes():
    results = [*sweep(), *sweep(name="other")]
    claims = Claims.read(gates=["pass@1 >= 0", "pass@1 >= 0 where depth=3"])
    whole = requested(claims, results)
    assert whole["other"][-1] == whole["keep_topk"][-1] == "pass@1 >= 0"
    part = requested(claims, without_neutral(results))
    assert part["other"] == ["pass@1 >= 0"], "its own gate waits for a neutral case"


def test_what_a_report_was_judged_by_is_judged_again(run, results, directory):
    gates = ["pass@1 > 1", "parsed >= 0"]
    report = conclude(run, results, directory, claims=Claims.read(gates=gates)).report
    again = claims_of([report, report], results)
    assert list(map(str, again.gates)) == gates
    assert conclude(run, results, directory / "again", claims=again).report.gates == report.gates


def test_a_rule_is_judged_again_with_the_run_that_it_names(run, results, directory, tmp_path):
    saved, rule = SavedRuns(tmp_path / "saved"), "pass@1: different"
    conclude(run, results, directory, claims=Claims(save_as="a", saved=saved))
    asked = Claims.read(compare="a", rules=[rule], saved=saved)
    report = conclude(run, results, directory, claims=asked).report
    again = claims_of([report, report], results)
    assert (again.gates, again.compare, again.rules) == ([], "0001_a", [parse_rule(rule)])
    there = replace(again, saved=saved)
    assert conclude(run, results, directory, claims=there).report.gates == report.gates


def test_a_rule_whose_saved_run_is_gone_has_failed(run, results, directory, tmp_path):
    saved = SavedRuns(tmp_path / "none")
    asked = Claims.read(compare="a", rules=["pass@1: worse"], saved=saved)
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
    claims = Claims.read(compare="main", rules=["pass@1: worse"])
    with pytest.raises(OptionError, match="no case was selected that it could judge"):
        claims.check([])


def test_the_gates_of_an_older_report_are_read_from_their_text(run, results, directory, tmp_path):
    saved = SavedRuns(tmp_path / "saved")
    conclude(run, results, directory, claims=Claims(save_as="a", saved=saved))
    rules, gates = ["pass@1: worse, p<0.05"], ["parsed >= 0", "monotone within CI"]
    asked = Claims.read(gates, "a", rules, saved=saved)
    report = conclude(run, results, directory, claims=asked).report
    assert all(gate.claim is not None for gate in report.gates)
    older = report.model_copy(
        update={"gates": tuple(gate.model_copy(update={"claim": None}) for gate in report.gates)}
    )
    found, expected = claims_of([older], results), claims_of([report], results)
    assert found == expected
    assert list(map(str, found.gates + found.rules)) == gates + rules
    unknown = older.gates[0].model_copy(update={"gate": "made_up"})
    with pytest.raises(ReportError, match=r"of keep_topk cannot be read: 'made_up' is no gate"):
        claims_of([older.model_copy(update={"gates": (unknown,)})], results)


def test_a_gate_is_asked_of_the_experiments_that_measure_its_metric():
    results = [*sweep(), *sweep(name="other")]
    measured = [
        replace(each, sample_metrics={**each.sample_metrics, "parsed": {"s/0": 1.0}})
        if each.case.experiment.name == "other"
        else each
        for each in results
    ]
    for gate, asked in {"parsed >= 0": ["other"], "tool_call >= 0": ["keep_topk", "other"]}.items():
        found = requested(Claims(gates=[parse_gate(gate)]), measured)
        assert [name for name, gates in found.items() if gate in gates] == asked
