"""Runs that stop themselves, on zoo/moe: what is asked, what is reported, continued, read back."""

from __future__ import annotations

import json

import pytest

import harness
from harness.claims.compare import compare
from harness.claims.comparison import comparison_table
from harness.claims.saved import SavedRuns
from harness.errors import SpecError, TitrateError
from harness.report.tables.terminal import table
from harness.runs.partition import partition
from harness.runs.rescore import recorded, rescored
from harness.runs.stopping import permutation
from harness.store.records import from_json, to_json
from tests.runs.small import cases

SIZE, LOOK = 40, 8
TOKENS = "median_tokens"
SPEC = {
    "name": "small",
    "model": "zoo/moe",
    "task": {"name": "micro_humaneval", "limit": SIZE},
    "intervention": {"kind": "router_mask", "points": {"random": 0}, "count": 0},
    "sampling": {"max_new_tokens": 40},
    "axes": {"intervention.count": [0, 1, 30]},
    "dose": "intervention.count",
    "gates": ["neutral_equals_baseline"],
    "stop": {"decide": ["pass@1 differs from baseline"], "look": LOOK, "futility": 0.2},
}


def spec(**fields):
    return harness.Experiment.model_validate(SPEC | fields)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder in which a run that stopped itself was made, with its report in `out`."""
    here = tmp_path_factory.mktemp("stopped")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        harness.run(spec(), directory="out")
    return here


@pytest.fixture(autouse=True)
def here(folder, monkeypatch):
    monkeypatch.chdir(folder)


@pytest.fixture
def report(folder):
    return json.loads((folder / "out" / "report.json").read_text())


def test_a_dose_that_breaks_the_model_is_decided_early_and_the_neutral_one_given_up(report):
    ended = {case["id"]: case["stopped"]["verdict"] for case in report["cases"]}
    assert ended["small[baseline]"] == "leads"
    assert ended["small[count=0]"] == "undecided, ended early"
    assert ended["small[count=30]"] == "differs"
    sizes = {case["id"]: case["task"]["size"] for case in report["cases"]}
    assert sizes["small[baseline]"] == max(sizes.values()) < SIZE
    (stopped,) = report["stopping"]
    assert stopped["samples"] == sum(sizes.values()) < stopped["of"] == 4 * SIZE
    assert 0 < stopped["share"] < 1
    assert report["invariants"][0]["holds"]


def test_samples_are_a_beginning_of_the_recorded_permutation(folder, report):
    _, results, _, _ = recorded(str(folder / "out"), folder)
    (stopped,) = report["stopping"]
    assert sorted(stopped["order"]) == sorted(permutation([*stopped["order"]], 3))
    assert len(stopped["order"]) == SIZE
    for result in results:
        seen = [*result.sample_metrics["pass@1"]]
        assert seen == stopped["order"][: len(seen)]


def test_p_are_called_anytime_and_no_other_is_printed(folder):
    shown = table(harness.load_report(folder / "out").report, width=200)
    assert "anytime p Holm" in shown
    assert "undecided, ended early" in shown
    assert "stopped itself (pass@1 differs from baseline)" in shown
    for fixed in (" p Holm  ", "mde", "BMDL"):
        assert fixed not in shown.replace("anytime p Holm", "")
    page = (folder / "out" / "index.html").read_text()
    assert "anytime p Holm" in page


def test_a_rerun_takes_the_same_decisions_and_asks_nothing(folder):
    again = harness.run(spec(), directory="again")
    assert again.report.run.cost.tokens == 0
    assert again.report.stopping == harness.load_report(folder / "out").report.stopping


def test_going_on_asks_all_of_what_was_given_up_and_keeps_what_was_decided(report):
    further = harness.run(spec(), directory="further", further=True).report
    for case in further.cases:
        before = next(each for each in report["cases"] if each["id"] == case.id)
        decided = before["stopped"]["verdict"] == "differs"
        assert case.task.size == (before["task"]["size"] if decided else SIZE)
        assert (case.stopped.verdict == "differs") == decided


def test_all_samples_of_a_benchmark_leave_nothing_to_bet_on(folder):
    further = harness.run(spec(), directory="further", further=True).report
    neutral = next(case for case in further.cases if case.id == "small[count=0]")
    assert (neutral.stopped.benchmark_low, neutral.stopped.benchmark_high) == (0, 0)
    assert neutral.versus_baseline["pass@1"].ci_low < 0


def test_a_run_that_stopped_is_compared_by_what_holds_at_every_moment(folder, report):
    harness.run(spec(stop=None), directory="whole")
    whole, stopped = (SavedRuns(folder).find(name) for name in ("whole", "out"))
    (settings,) = report["stopping"]
    for before, after in ((whole, stopped), (stopped, whole), (stopped, stopped)):
        comparison = compare(before, after)
        shown = comparison_table(comparison, width=200)
        assert "anytime p Holm" in shown
        for fixed in (" p Holm  ", "mde"):
            assert fixed not in shown.replace("anytime p Holm", "")
        for row in comparison.rows:
            asked = [*stopped.values[row.case.id]["pass@1"]]
            assert asked == settings["order"][: row.shared]
            assert (row.versus.test, row.versus.delta) == ("anytime_kt", 0)
    for values in stopped.values.values():
        values["pass@1"] = dict(reversed(values["pass@1"].items()))
    comparison = compare(SavedRuns(folder).find("out"), stopped)
    assert comparison.rows == ()
    assert "compare runs with one stop.seed" in comparison.left_out["small[count=0]"]


def test_records_are_read_back_and_scored_again_as_they_are(folder):
    _, results, _, _ = recorded(str(folder / "out"), folder)
    for result, again in zip(results, rescored(results), strict=True):
        assert from_json(json.loads(json.dumps(to_json(result)))) == result
        assert (again.stopped, again.sample_metrics) == (result.stopped, result.sample_metrics)


def test_gates_that_take_a_fixed_number_of_samples_are_undecided():
    gates = [
        "monotone falling within CI",
        "pass@1 <= 0.7 where count=30",
        "pass@1 >= 0.5 where baseline",
    ]
    with pytest.raises(TitrateError, match="monotone"):
        harness.run(spec(gates=gates), directory="gates")
    found = {each.gate: each for each in harness.load_report("gates").report.gates}
    assert "takes a fixed number of samples" in found[gates[0]].detail
    assert found[gates[1]].holds
    assert found[gates[2]].holds


def test_gates_are_followed_until_they_are_decided():
    gates = ["pass@1 >= 0.5 where baseline", "pass@1 <= 0.8 where count=30"]
    stop = {"decide": ["gates"], "look": LOOK}
    found = harness.run(spec(gates=gates, stop=stop), directory="followed").report
    assert all(gate.holds for gate in found.gates)
    assert sum(case.task.size for case in found.cases) < 4 * SIZE


def test_an_experiment_that_stops_itself_stays_with_one_worker():
    selection = cases("whole", **{name: SPEC[name] for name in ("axes", "dose", "stop")})
    others = cases("other", axes={"intervention.count": [0, 1, 2]})
    parts = partition([*selection, *others], 3)
    assert sum(any(case.experiment.name == "whole" for case in part) for part in parts) == 1
    assert sorted(case.id for part in parts for case in part) == sorted(
        case.id for case in [*selection, *others]
    )


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"stop": {"decide": ["pass@7 differs from baseline"]}}, "pass@7 is not measured here"),
        ({"stop": {"decide": ["pass@1 is good"]}}, "is nothing that a run can decide"),
        ({"stop": {"decide": ["gates"]}}, "none of the spec compares a metric with a number"),
        ({"stop": {"decide": ["ed50 within 0 log2"]}}, "is no precision"),
        ({"stop": {"decide": ["ed50 within 1 log2"]}}, "has 2 doses above 0, which are no curve"),
        (
            {
                "metrics": ["median_tokens"],
                "stop": {"decide": ["median_tokens differs from baseline"]},
            },
            "median_tokens is no mean",
        ),
        ({"measure": "likelihood"}, "measure: likelihood reads every sample at once"),
        (
            {"intervention": None, "axes": {"seed": [0, 1]}, "dose": None, "gates": []},
            "nothing intervenes",
        ),
    ],
)
def test_what_cannot_stop_itself_is_refused_in_a_line(fields, complaint):
    with pytest.raises((SpecError, ValueError), match=complaint) as told:
        harness.forecast(spec(**fields))
    if isinstance(told.value, SpecError):
        assert "\n" not in str(told.value)
