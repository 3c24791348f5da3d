"""What is scored of a sample, and which numbers are made of it."""

from __future__ import annotations

import math

import pytest

from harness.engines.contract import Scored
from harness.errors import TaskError
from harness.measure.likelihood import Choices, choices_of, sample_metrics
from harness.models.loading import load_tokenizer
from harness.tasks.base import Reference
from harness.tasks.by_name import load

TOKENIZER = load_tokenizer("zoo/moe")
CODE = load("micro_humaneval", limit=6)
MATHS = load("micro_gsm8k", limit=2)


def test_in_chats_the_answer_stands_in_its_frame_and_is_measured_alone():
    for sample in CODE.samples:
        choices = choices_of(TOKENIZER, CODE, sample, "assisted")
        reference = CODE.reference(sample)
        assert choices == choices_of(TOKENIZER, CODE, sample, "agentic")
        right = choices.continuations[0]
        assert TOKENIZER.decode(right) == reference.text
        measured = "".join(TOKENIZER.decode([right[index]]) for index in choices.measured)
        assert "".join(measured.split()) == "".join(reference.answer.split())


def test_behind_a_bare_prompt_the_answer_stands_alone():
    code, maths = CODE.samples[0], MATHS.samples[0]
    assert CODE.prompt(code, "completion").endswith("\n")
    texts = [
        TOKENIZER.decode(choices_of(TOKENIZER, task, sample, "completion").continuations[0])
        for task, sample in ((CODE, code), (MATHS, maths))
    ]
    assert texts == [CODE.reference(code).answer, " " + MATHS.reference(maths).answer]


def test_wrong_choices_stand_in_the_same_frame():
    for sample in CODE.samples:
        right, *wrong = choices_of(TOKENIZER, CODE, sample, "assisted").continuations
        assert [TOKENIZER.decode(each) for each in wrong] == [
            f"```python\n{body}\n```" for body in CODE.distractors(sample)
        ]
        assert right not in wrong
    assert len(choices_of(TOKENIZER, MATHS, MATHS.samples[0], "assisted").continuations) == 1


def test_an_answer_without_anything_to_measure_is_refused(monkeypatch):
    monkeypatch.setattr(type(CODE), "reference", lambda self, sample: Reference("a", " \n", "b"))
    with pytest.raises(TaskError, match="/0: the reference answer has no tokens to measure"):
        choices_of(TOKENIZER, CODE, CODE.samples[0], "assisted")


@pytest.mark.parametrize(("wrong", "right"), [(-7.1, 1.0), (-7.0, 0.0), (-6.9, 0.0)])
def test_metrics_are_means_over_the_measured_tokens_and_a_choice_among_all(wrong, right):
    choices = Choices(((1, 2, 3), (4,), (5, 6)), measured=(0, 2))
    found = sample_metrics(
        choices,
        Scored(
            ((-1.0, -4.0, -2.0), (wrong,), (-5.0, -3.5)),
            ((True, True, False), (False,), (True, True)),
        ),
    )
    assert found == {"reference_nll": 1.5, "reference_greedy": 0.5, "choice_accuracy": right}
    assert not any(math.isnan(value) for value in found.values())


def test_without_wrong_choices_there_is_nothing_to_choose():
    found = sample_metrics(Choices(((1,),), (0,)), Scored(((-1.0,),), ((True,),)))
    assert found == {"reference_nll": 1.0, "reference_greedy": 1.0}
