"""What lm-eval computes is what we compute: from our answers, and by its own backend."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

import harness
from harness.engines import tokenizer_for
from harness.measure.lm_eval_documents import again
from harness.measure.lm_eval_requests import template_of
from harness.report.exports.lm_eval import results_of
from harness.report.recorded import recorded_results
from harness.resolve.tasks import task_of
from harness.store.results import CaseResult
from harness.tasks.lm_eval import catalogue
from tests.tasks.lm_eval import local
from tests.tasks.lm_eval.peer import ReplayLM, evaluated, hf

GROUPS = ("group_by_size", "group_alike")
#: Nothing of these is drawn, so that both sides must say the same.
GREEDY = [name for name in (*local.TASKS, *GROUPS) if name != "text_repeats"]
#: The representatives of `make test`: of everything else there is more of the same.
REPLAYED = ["choice_two", "target", "text_repeats", "text_code", "group_alike"]
BESIDE = [("text_filters", "short"), ("rolling", "short"), ("text_again", "first")]


def quick(every: list[str], chosen: list[str]) -> list[Any]:
    """All of them, and all but the chosen ones slow."""
    return [
        each if each in chosen else pytest.param(each, marks=pytest.mark.slow) for each in every
    ]


@pytest.fixture(scope="module")
def tasks(tmp_path_factory) -> dict[str, Path]:
    return local.write(tmp_path_factory.mktemp("tasks"))


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> dict[str, str]:
    """One without a first token, one with, and one that reads less than it is asked."""
    folder = tmp_path_factory.mktemp("models")
    return {
        "plain": local.model(folder / "plain"),
        "first": local.model(folder / "first", first=True),
        "short": local.model(folder / "short", first=True, longest=40),
    }


def ours(model: str, task: Path, folder: Path, **spec: Any) -> CaseResult:
    """The recorded case of a run of ours."""
    shots = spec.pop("shots", None)
    asked: dict[str, Any] = {"lm_eval": str(task), **({"shots": shots} if shots else {})}
    plain = {"name": "same", "model": model, "task": asked, **spec}
    experiment = harness.Experiment.model_validate(plain)
    report = harness.run(experiment, directory=folder, unsafe_code=True)
    assert report.report.cases[0].status == "complete", report.report.cases[0].error
    (result,) = recorded_results(report.directory)
    return result


def same(mine: Any, theirs: Any, tolerance: float = 0.0) -> bool:
    """Equal in every key; numbers within a tolerance, relative or absolute."""
    if isinstance(mine, dict):
        assert mine.keys() == theirs.keys()
        return all(same(mine[key], theirs[key], tolerance) for key in mine)
    if isinstance(mine, float) and isinstance(theirs, float) and tolerance:
        return math.isclose(mine, theirs, rel_tol=tolerance, abs_tol=tolerance)
    return bool(mine == theirs)


def texts_of(results: dict[str, Any], task: str) -> dict[tuple[int, str], Any]:
    """What was said to every document, and what each filter made of it."""
    return {
        (each["doc_id"], each["filter"]): (each["resps"], each["filtered_resps"])
        for each in results["samples"][task]
    }


def replayed(result: CaseResult, task: Path, **settings: Any) -> dict[str, Any]:
    """What lm-eval says of the answers that a case has recorded."""
    experiment = result.case.experiment
    own: Any = task_of(experiment.task, experiment.prompt, unsafe_code=True)
    tokenizer = tokenizer_for(experiment.model, experiment.engine)
    answers = again(result.case, own, result.recorded_answers(), lambda: tokenizer)
    return evaluated(ReplayLM(answers, template_of(tokenizer)), task, **settings)


@pytest.mark.parametrize("name", quick([*local.TASKS, *GROUPS], REPLAYED))
def test_our_answers_through_lm_eval_give_our_numbers(name, tasks, models, tmp_path):
    result = ours(models["plain"], tasks[name], tmp_path / "out")
    theirs = replayed(result, tasks[name])
    mine = results_of(result, unsafe_code=True)
    assert mine["results"] == theirs["results"]
    assert mine.get("groups") == theirs.get("groups")
    for part in ("group_subtasks", "configs", "versions", "n-shot", "higher_is_better"):
        assert mine[part] == theirs[part], part
    assert mine["n-samples"] == theirs["n-samples"]
    for task, samples in theirs["samples"].items():
        key = lambda each: (each["filter"], each["doc_id"])  # noqa: E731
        assert str(sorted(mine["samples"][task], key=key)) == str(sorted(samples, key=key))
    reported = {
        name: result.kind(name).of(of.values()) for name, of in result.sample_metrics.items()
    }
    root = name if name in theirs["results"] else next(iter(theirs["results"]))
    for metric, value in reported.items():
        own, _, rest = metric.partition("@")
        keys = [f"{own},{rest}", f"{own},none"]
        found = next(
            (theirs["results"][root][k] for k in keys if k in theirs["results"][root]), None
        )
        if rest in theirs["results"]:
            found = theirs["results"][rest][f"{own},none"]
        assert found is not None, metric
        assert math.isclose(value, found, rel_tol=1e-9, abs_tol=1e-9), metric


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        pytest.param(name, kind, marks=[] if (name, kind) in BESIDE else pytest.mark.slow)
        for name in GREEDY
        for kind in ("plain", "first", "short")
        if kind != "plain" or name in ("choice", "target", "rolling", "text")
    ],
)
def test_lm_evals_own_backend_gives_our_numbers(name, kind, tasks, models, tmp_path):
    result = ours(models[kind], tasks[name], tmp_path / "out")
    theirs = evaluated(hf(models[kind]), tasks[name])
    mine = results_of(result, unsafe_code=True)
    assert same(mine["results"], theirs["results"], 2e-4)
    if name.startswith("text"):
        assert texts_of(mine, name) == texts_of(theirs, name)


@pytest.mark.parametrize(("style", "system"), [("assisted", "Add up."), ("completion", "Add up.")])
@pytest.mark.parametrize(
    "name", quick(["text_filters", "choice_shots", "choice_prefix"], ["choice_prefix"])
)
def test_chats_and_system_texts_are_those_of_lm_eval(name, style, system, tasks, models, tmp_path):
    prompt = {"style": style, "system": system}
    result = ours(models["plain"], tasks[name], tmp_path / "out", prompt=prompt)
    asked = {"apply_chat_template": style == "assisted", "system_instruction": system}
    mine = results_of(result)
    assert (
        mine["samples"][name][0]["arguments"]
        == (replayed(result, tasks[name], **asked)["samples"][name][0]["arguments"])
    )
    theirs = evaluated(hf(models["plain"]), tasks[name], **asked)
    assert same(mine["results"], theirs["results"], 2e-4)


def test_another_number_of_worked_examples_is_lm_evals(tasks, models, tmp_path):
    shots = {"n": 1}
    result = ours(models["plain"], tasks["choice_shots"], tmp_path / "out", shots=shots)
    theirs = evaluated(hf(models["plain"]), tasks["choice_shots"], num_fewshot=1)
    assert same(results_of(result)["results"], theirs["results"], 2e-4)


@pytest.mark.slow
def test_a_tag_is_all_of_its_tasks(tasks, models, tmp_path, monkeypatch):
    monkeypatch.setattr(catalogue, "_folders", lambda: {"coins": tasks["choice"].parent})
    result = ours(models["plain"], Path("coins"), tmp_path / "out")
    mine = results_of(result)["results"]
    theirs = evaluated(hf(models["plain"]), tasks["choice"].with_name("coins"), name="coins")
    assert {"target", "choice_two"} == set(local.TAGGED) <= mine.keys()
    assert same(mine, theirs["results"], 2e-4)


def test_repeats_that_are_greedy_are_asked_once_and_counted_as_often(tasks, models, tmp_path):
    result = ours(models["plain"], tasks["text_again"], tmp_path / "out")
    asked = results_of(result)["samples"]["text_again"]
    assert [len(each["resps"][0]) for each in asked] == [2] * len(asked)
    assert all(len(set(each["resps"][0])) == 1 for each in asked)
