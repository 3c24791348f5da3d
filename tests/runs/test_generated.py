"""A case keeps its other samples' scores whatever one of its completions or records does."""

from dataclasses import replace

import pytest

from harness.engines.contract import Completion
from harness.runs.generated import scored
from harness.runs.plan import Address
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
