"""A new report from what a run recorded, and what is not a run."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

import harness
from harness.errors import ReportError, SpecError, StoreError
from harness.runs.rescore import Change, changes, changes_text, recorded, rescore, rescored
from harness.spec import Experiment
from harness.store.folder import RunFolder
from harness.store.records import from_json, to_json
from harness.store.results import InvariantResult
from harness.tasks.base import Score
from harness.tasks.micro_humaneval import MicroHumanEval
from tests.runs.small import cases, start

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


@pytest.fixture(scope="module")
def results(loaded):
    """A baseline and two cases as they were recorded."""
    asked = cases(axes={"intervention.count": [0, 30]}, sampling={"max_new_tokens": 24, "draws": 2})
    run = start(loaded, asked)
    for case in asked:
        run.result(case)
    return [from_json(to_json(result)) for result in run.results()]


@pytest.fixture
def all_wrong(monkeypatch):
    """A scorer for which every answer that it can read is wrong."""

    def score(self, answers):
        return [Score(correct=False, parsed=True, detail="new") for _ in answers]

    monkeypatch.setattr(MicroHumanEval, "score", score)


def test_the_same_scorer_gives_the_same_results(results):
    assert rescored(results) == results
    assert list(changes(results, results)) == []


def test_a_new_scorer_changes_scores_and_nothing_else(results, all_wrong):
    after = rescored(results)
    for old, new in zip(results, after, strict=True):
        assert set(new.sample_metrics["pass@1"].values()) == {0.0}
        assert [draw.completion for draw in new.draws] == [draw.completion for draw in old.draws]
        assert [draw.agreement for draw in new.draws] == [draw.agreement for draw in old.draws]
        assert (new.seconds, new.counts, new.intervention) == (
            old.seconds,
            old.counts,
            old.intervention,
        )
    told = list(changes(results, after))
    assert [change.case for change in told] == [result.case.id for result in results]
    mean = sum(results[0].sample_metrics["pass@1"].values()) / 3
    assert told[0] == Change(results[0].case.id, "pass@1", mean, 0.0, 6, 6)


@pytest.mark.parametrize(("end", "read"), [("<think>\n", 0), ("<think>\n\n</think>\n", 2)])
def test_an_answer_inside_reasoning_that_its_prompt_opened_is_none(results, end, read):
    good = "```python\n    return 1\n```"
    draws = tuple(
        replace(draw, prompt=draw.prompt + end, completion=replace(draw.completion, text=good))
        for draw in results[0].draws
    )
    (after,) = rescored([replace(results[0], draws=draws)])
    samples = len(draws) / 2
    assert sum(draw.score.parsed for draw in after.draws) == read * samples


def test_another_version_of_the_task_is_said(results, monkeypatch):
    monkeypatch.setattr(MicroHumanEval, "version", 99)
    (warning,) = set(rescored(results)[1].warnings) - set(results[1].warnings)
    assert warning == (
        f"prompted by version {results[1].task_version} of micro_humaneval, scored by version 99"
    )


def test_a_case_whose_scorer_broke_is_scored_now(results, monkeypatch):
    def breaks(self, answers):
        raise ValueError("boom")

    with monkeypatch.context() as patched:
        patched.setattr(MicroHumanEval, "score", breaks)
        failed = rescored(results)
    assert {result.status for result in failed} == {"failed"}
    assert {result.error for result in failed} == {"scoring: ValueError: boom"}
    assert rescored([from_json(to_json(result)) for result in failed]) == results
    assert all(change.after is None for change in changes(results, failed))


def test_what_has_no_completions_stays(results):
    incomplete = replace(results[1], status="incomplete", draws=(), error="the run ended before it")
    assert rescored([results[0], incomplete])[1] is incomplete


def test_other_samples_are_refused(results):
    less = replace(results[1], draws=results[1].draws[:-1])
    with pytest.raises(StoreError, match="its answers are to other samples than micro_humaneval"):
        rescored([less])


def test_a_task_that_is_gone_is_named(results):
    experiment = results[1].case.experiment
    gone = experiment.model_copy(update={"task": experiment.task.model_copy(update={"name": "x"})})
    changed = replace(results[1], case=replace(results[1].case, experiment=gone))
    with pytest.raises(SpecError, match=r"task\.name: 'x' is not a task"):
        rescored([changed])
