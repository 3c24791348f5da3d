"""Which gates a run is judged by, whoever writes its report."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.claims.claims import Claims
from harness.claims.saved import SavedRuns
from harness.errors import OptionError
from harness.runs.conclude import conclude
from harness.spec.gates import parse_gate
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


def test_a_rule_whose_saved_run_is_gone_has_failed(run, results, directory, tmp_path):
    saved = SavedRuns(tmp_path / "none")
    asked = Claims.read(compare="a", rules=["pass@1: worse"], saved=saved)
    finished = conclude(run, results, directory, claims=asked)
    gate = finished.report.gates[-1]
    assert (gate.gate, gate.holds) == ("compare a: pass@1: worse", False)
    assert gate.detail.startswith("undecided: a: no saved run of this name")
    assert finished.compared.startswith("not compared: a: no saved run")


def test_a_rule_without_a_case_to_judge_is_refused():
    claims = Claims.read(compare="main", rules=["pass@1: worse"])
    with pytest.raises(OptionError, match="no case was selected that it could judge"):
        claims.check([])


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


def test_an_option_is_known_by_its_name_and_what_would_help():
    claims = Claims.read(rules=["pass@1: worse"])
    with pytest.raises(OptionError) as caught:
        claims.check_comparison()
    error = caught.value
    assert (error.option, error.add) == ("compare_fail", ("compare", "NAME"))
    assert error.problem == "'pass@1: worse': nothing to compare with"
    assert str(error) == (
        "--titrate-compare-fail 'pass@1: worse': nothing to compare with; add --titrate-compare "
        "NAME"
    )
