"""A new report from what a run recorded, and what is not a run."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

import harness
from harness.errors import ReportError, StoreError
from harness.runs.rescored import changes_text, recorded, rescore
from harness.spec import Experiment
from harness.store.folder import RunFolder
from harness.store.results import InvariantResult
from harness.tasks.base import Score
from harness.tasks.micro_humaneval import MicroHumanEval

SPEC = {
    "name": "small",
    "model": "zoo/moe",
    "task": {"name": "micro_humaneval", "limit": 2},
    "intervention": {"kind": "router_mask", "points": {"random": 0}, "count": 0},
    "sampling": {"max_new_tokens": 8},
    "axes": {"intervention.count": [0, 30]},
    "dose": "intervention.count",
    "gates": ["neutral_equals_baseline"],
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder in which a run was made, with its report in `out`."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        harness.run(Experiment.model_validate(SPEC), directory="out")
    return folder


@pytest.fixture
def here(made, tmp_path, monkeypatch):
    folder = tmp_path / "here"
    shutil.copytree(made, folder)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def no_model(monkeypatch):
    def load(*arguments, **fields):
        raise AssertionError("loaded")

    monkeypatch.setattr("harness.models.loading.load", load)


def by_id(here: Path) -> str:
    (run,) = (here / ".titrate" / "runs").iterdir()
    return run.name


@pytest.mark.parametrize("which", ["id", "report"])
def test_without_a_new_scorer_the_report_is_the_same(here, no_model, which):
    run = by_id(here) if which == "id" else "out"
    outcome = rescore(run, here, here / "again", "titrate rescore x")
    before, after = harness.load_report("out").report, harness.load_report("again").report
    assert after == outcome.finished.report
    if which == "report":
        assert after.cases == before.cases
    else:
        assert [case.metrics for case in after.cases] == [case.metrics for case in before.cases]
    assert (after.invariants, after.gates) == (before.invariants, before.gates)
    assert after.run.id.startswith(f"{before.run.id}-rescored-")
    assert after.run.command == "titrate rescore x"
    assert after.run.started == before.run.started
    assert after.run.determinism == before.run.determinism
    assert after.run.hardware == before.run.hardware
    assert list(changes_text(outcome)) == ["nothing changed: 6 answers are judged as before"]


def test_a_new_scorer_is_told_case_by_case(here, no_model, monkeypatch):
    def score(self, answers):
        return [Score(correct=True, parsed=True, detail="new") for _ in answers]

    monkeypatch.setattr(MicroHumanEval, "score", score)
    outcome = rescore("out", here, here / "again", "x")
    before = harness.load_report("out").report.cases[2].metrics["pass@1"].value
    assert harness.load_report("again").report.cases[2].metrics["pass@1"].value == 1.0
    line = list(changes_text(outcome))[2]
    assert line == (
        f"small[count=30]: pass@1 {before:.3f} -> 1.000, 2 of 2 answers judged otherwise"
    )


def test_a_copied_report_is_enough(here, no_model, tmp_path, monkeypatch):
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(here / "out", elsewhere / "report")
    monkeypatch.chdir(elsewhere)
    shutil.rmtree(here)
    rescore("report", elsewhere, elsewhere / "again", "x")
    assert harness.load_report("again").report.cases == harness.load_report("report").report.cases


@pytest.mark.parametrize("which", ["run", "out"])
def test_what_was_found_on_models_and_what_was_asked_of_a_comparison_stays(here, no_model, which):
    run = RunFolder(here / ".titrate" / "runs" / by_id(here), "main")
    broken = InvariantResult("law", "tiny, fast", holds=False, detail="")
    run.add_finding(broken)
    run.begin(replace(run.manifest(), compare="gone", rules=("pass@1: worse",)))
    run.close()
    finished = rescore(by_id(here), here, here / "again", "x").finished
    if which == "out":
        finished = rescore("again", here, here / "anew", "x").finished
    assert finished.report.invariants[-1].name == "law"
    assert finished.report.gates[-1].detail.startswith("undecided: gone: no saved run")
    assert len(finished.problems) == 2


@pytest.mark.parametrize(
    ("spoil", "error", "message"),
    [
        ("unknown", StoreError, "20990101: is neither a run below .* nor the directory of a rep"),
        ("empty", StoreError, ": is neither a run below"),
        (
            "no records",
            StoreError,
            r"out: has no records\.jsonl, .* to have it, run again: ",
        ),
        ("torn records", StoreError, "is torn or altered; copy it again"),
        ("other schema", ReportError, "schema"),
        ("foreign target", ReportError, r"is not a report: it holds thesis\.tex; choose a new or"),
    ],
)
def test_what_cannot_be_scored_again_is_one_line(here, spoil, error, message):
    run = "out"
    report, records = here / "out" / "report.json", here / "out" / "records.jsonl"
    if spoil == "unknown":
        run = "20990101"
    elif spoil == "empty":
        run = ""
    elif spoil == "no records":
        records.unlink()
    elif spoil == "torn records":
        records.write_bytes(records.read_bytes()[:-9])
    elif spoil == "other schema":
        report.write_text(json.dumps(json.loads(report.read_text()) | {"schema": 99}))
    else:
        (here / "again").mkdir()
        (here / "again" / "thesis.tex").write_text("")
    held = sorted(here.rglob("*"))
    with pytest.raises(error, match=message) as told:
        rescore(run, here, here / "again", "x")
    assert "\n" not in str(told.value)
    assert sorted(here.rglob("*")) == held


def test_the_latest_run_is_named_to_who_mistypes_one(here):
    with pytest.raises(StoreError, match=f"; the latest run is {by_id(here)}"):
        recorded("2026", here)
    with pytest.raises(StoreError, match="; no run is recorded there"):
        recorded("2026", here / "out")
