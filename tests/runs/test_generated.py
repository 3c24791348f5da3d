"""A case keeps its other samples' scores whatever one of its completions or records does."""

import json
from dataclasses import replace

import pytest

import harness
from harness.engines.contract import Completion
from harness.runs.generated import scored
from harness.runs.plan import Address
from harness.runs.rescore import rescore
from harness.sandbox import limits
from harness.tasks.micro_humaneval import MicroHumanEval
from tests.runs.small import cases


def result_of(case, texts):
    completions = [
        (
            Address(case.id, sample.id, 0),
            "prompt",
            Completion(tokens=(1,), text=text, finish_reason="stop"),
        )
        for sample, text in zip(case.task.samples, texts, strict=True)
    ]
    return scored(case, completions, None, None)


@pytest.fixture
def case():
    return cases()[0]


def right(case):
    return [case.task.reference(sample).text for sample in case.task.samples]


def test_a_completion_that_sleeps_is_told_by_its_sample(case, monkeypatch):
    monkeypatch.setattr(limits, "_ASLEEP", 0.1)
    asleep = "```python\nimport time\ntime.sleep(60)\n```"
    result = result_of(case, [*right(case)[:2], asleep])
    assert result.status == "complete"
    assert [draw.score.correct for draw in result.draws] == [True, True, False]
    (warning,) = result.warnings
    name = case.task.samples[2].id
    assert warning.startswith(
        "1 of 3 completions timed out by the wall clock, also when run alone, and count as wrong: "
        "they wait for something, or this machine is too busy "
        f"({name}: timed out: 0 s of wall clock with 0.0"
    )


def test_a_record_that_cannot_be_judged_leaves_the_others_alone(case):
    first, *others = case.task.samples
    spoilt = replace(first, record={**first.record, "test": "def check(f):\n    f(print)\n"})
    case = replace(case, task=MicroHumanEval([spoilt, *others]))
    result = result_of(case, right(case))
    assert result.status == "complete"
    assert [draw.score.correct for draw in result.draws] == [False, True, True]
    (warning,) = result.warnings
    assert warning.startswith(
        "1 of 3 completions could not be judged and count as wrong; correct or remove their "
        f"records ({first.id}: unsupported: its tests pass no plain data: builtin_function"
    )


def test_tokens_with_numbers_have_their_texts_in_a_report_and_keep_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plain = {"name": "x", "model": "zoo/moe", "task": {"name": "micro_gsm8k", "limit": 2}}
    spec = {**plain, "sampling": {"max_new_tokens": 9}, "columns": ["log_probability"]}
    harness.run(harness.Experiment.model_validate(spec), directory=tmp_path / "one")
    rescore(str(tmp_path / "one"), tmp_path, tmp_path / "two", "titrate rescore")
    for folder in ("one", "two"):
        for line in (tmp_path / folder / "samples.jsonl").read_text().splitlines():
            row = json.loads(line)
            assert len(row["pieces"]) == len(row["traces"]["log_probability"]) == row["tokens"]
            assert "".join(row["pieces"]) == row["completion"]
    harness.run(harness.Experiment.model_validate(plain | {"name": "y"}), directory=tmp_path / "y")
    assert "pieces" not in (tmp_path / "y" / "samples.jsonl").read_text()
