"""What earlier reports were judged by, judged again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.claims.claims import Claims
from harness.claims.earlier import claims_of, findings_of
from harness.claims.saved import SavedRuns
from harness.errors import ReportError
from harness.runs.conclude import conclude
from harness.spec.gates import parse_rule
from harness.store.results import Departure, InvariantResult


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
    with pytest.raises(ReportError, match=r"of keep_topk cannot be read: 'made_up' is not a gate"):
        claims_of([older.model_copy(update={"gates": (unknown,)})], results)
