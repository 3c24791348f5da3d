"""Completions scored again: equal when nothing changed, and new where the scorer did."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.errors import SpecError, StoreError
from harness.runs.rescoring import Change, changes, rescored
from harness.store.records import from_json, to_json
from harness.tasks.base import Score
from harness.tasks.micro_humaneval import MicroHumanEval
from tests.runs.small import cases, start


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
