"""Tasks of one's own data go the whole road: run, stored, limited, chosen, scored again."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import harness
from harness.errors import SpecError
from harness.runs.rescore import rescore
from harness.tasks.answers.kind import AnswerKind, AnswerVerdict
from harness.tasks.base import Reference

RECORDS = [
    {"id": f"sum {a}+{b}", "prompt": f"What is {a}+{b}?", "answer": a + b}
    for a, b in [(1, 2), (3, 4), (5, 6), (7, 8)]
]
SPEC = """\
name: sums
model: zoo/moe
task: {path: sums.jsonl, answer: number}
sampling: {max_new_tokens: 8}
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sums.jsonl").write_text("\n".join(map(json.dumps, RECORDS)))
    (tmp_path / "sums.yaml").write_text(SPEC)
    return tmp_path


def refused(*overrides, **options):
    with pytest.raises(SpecError) as caught:
        harness.forecast("sums.yaml", overrides=overrides, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_run_is_stored_limited_chosen_and_scored_again(here):
    report = harness.run("sums.yaml", directory="out")
    (case,) = report.report.cases
    assert (case.task.name, case.task.size, case.metric) == ("sums", 4, "exact_match")
    assert list(report.samples["sample"]) == [record["id"] for record in RECORDS]

    (here / "only.json").write_text(json.dumps(["sum 5+6", "sum 1+2"]))
    for overrides, limit, asked in [([], None, 4), ([], 2, 2), (["task.only=only.json"], None, 2)]:
        (forecast,) = harness.forecast("sums.yaml", overrides=overrides, limit=limit)
        assert (forecast.asked, forecast.stored) == (asked, asked)
    some = harness.run("sums.yaml", overrides=["task.only=only.json"], directory="some")
    assert list(some.samples["sample"]) == ["sum 5+6", "sum 1+2"]
    assert some.report.cases[0].task.version == case.task.version

    said = report.samples["completion"][0]
    expected = [{**RECORDS[0], "answer": "7 of 9"}, *RECORDS[1:]]
    (here / "sums.jsonl").write_text("\n".join(map(json.dumps, expected)))
    again = rescore("out", here, here / "again", "rescore").finished.report
    assert again.cases[0].task.version != case.task.version
    assert any("prompted by version" in warning for warning in again.cases[0].warnings)
    assert harness.load_report("again").samples["completion"][0] == said


def test_without_answers_there_is_no_pass_rate_and_the_first_metric_is_the_primary_one(here):
    (here / "sums.yaml").write_text(SPEC.replace(", answer: number", ", limit: 2"))
    assert "sums has no answers to score" in refused()
    report = harness.run("sums.yaml", overrides=["metrics=[median_tokens]"], directory="out")
    (case,) = report.report.cases
    assert case.metric == "median_tokens"
    assert not case.metrics.keys() & {"exact_match", "parsed"}
    assert list(report.samples["correct"]) == [None, None]
    again = rescore("out", here, here / "again", "rescore")
    assert again.changes == ()


def test_choices_are_scored_by_likelihood_in_their_order(here):
    records = [{"prompt": "def f(x):", "choices": ["\n", " return", "!"], "answer": 1}]
    (here / "sums.jsonl").write_text("\n".join(map(json.dumps, records)))
    overrides = ["measure=likelihood", "task.answer=choice", "prompt.style=completion"]
    report = harness.run("sums.yaml", overrides=overrides, directory="out")
    (case,) = report.report.cases
    assert case.status == "complete"
    assert "choice_accuracy" in case.metrics


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["prompt.template='{{ question }}'"], "sums.jsonl:1: 'question' is undefined; the record"),
        (["task.answer=choice"], "sums.yaml:3 task: sums.jsonl:1: has no choices, which answer"),
        (["task.answer=math", "task.pattern=("], "task.pattern=(: '(' is no regular expression"),
        (["task.shots.n=4"], "task.shots.n=4: 4 examples asked for, but sums has 3"),
        (["task.limit=5"], "5 samples asked for, but sums has 4; use 1 to 4"),
        (["prompt.style=agentic"], "prompt.style=agentic: agentic: sums has no file"),
        (["measure=forward"], "sums has no file that a tool call could read"),
        (["task.answer=regex"], "sums.yaml:3 task: sums.jsonl:1: answer 3 is not a regular"),
        (["task.path=gone.jsonl"], "gone.jsonl: cannot be read (No such file or directory)"),
        (["task.answer=guess"], "'guess' is not accepted; it should be 'exact', "),
        (["task.split=test"], "split is of a `dataset`, and there is none"),
        (["task.dataset=owner/name"], "both are given: a task is a registered `name`"),
        (["task.name=gsm8k"], "answer is for one's own data, and gsm8k knows its own"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_one_line_before_a_model_is_loaded(here, overrides, expected):
    said = refused(*overrides)
    assert expected in said.replace(f"{here}/", "")


def test_a_registered_task_has_prompts_of_its_own(here):
    (here / "sums.yaml").write_text(
        "name: x\nmodel: zoo/moe\ntask: {name: micro_gsm8k}\nprompt: {system: Be brief.}\n"
    )
    assert "sums.yaml:4 prompt.system: is for one's own data, and micro_gsm8k has" in refused()


def test_a_measure_that_finds_nothing_to_score_is_refused(here):
    records = [{"prompt": "x"}, {"prompt": "y"}]
    (here / "sums.jsonl").write_text("\n".join(map(json.dumps, records)))
    said = refused("measure=likelihood", "task.answer=null")
    assert said.endswith(
        "likelihood has nothing to score: sums/0: has no answer that a model could say"
    )


PAGE = (Path(__file__).parents[2] / "docs" / "own_tasks.md").read_text("utf-8")
EXAMPLES = dict(re.findall(r"^`([\w.]+)`:\n\n```\w+\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))


@pytest.mark.parametrize("spec", [name for name in EXAMPLES if name.endswith(".yaml")])
def test_the_examples_of_the_page_run(tmp_path, monkeypatch, spec):
    monkeypatch.chdir(tmp_path)
    for name, content in EXAMPLES.items():
        (tmp_path / name).write_text(content)
    report = harness.run(spec, directory="out")
    assert report.report.cases[0].status == "complete"


def test_the_kind_of_the_page_scores(monkeypatch):
    source = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)[0]
    names = {"AnswerKind": AnswerKind, "Reference": Reference, "AnswerVerdict": AnswerVerdict}
    exec(source, names)
    kind = names["Shouted"]()
    assert kind.verdict({"answer": "yes"}, "YES") == AnswerVerdict(correct=True, parsed=True)
    assert kind.reference({"answer": "yes"}).text == "YES"
