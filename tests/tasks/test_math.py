"""The task math: three forms of records, right and wrong answers, two rules beside each other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.errors import TaskError
from harness.tasks.answers.math import minerva_verdict
from harness.tasks.answers.math_grader import graded, minerva, plain
from harness.tasks.math import Math

REAL = Path(__file__).parents[3] / "shared/data/math500_test.jsonl"

WRONG = [
    ("\\frac{1}{2}", "\\frac{1}{3}"),
    ("(1, 2)", "(2, 1)"),
    ("[1, 2)", "[1, 2]"),
    ("x^2 - 1", "x^2 + 1"),
    ("3\\sqrt{13}", "13\\sqrt{3}"),
    ("\\text{Evelyn}", "\\text{Carla}"),
    ("0.33", "\\frac{1}{3}"),
    ("\\{1, 2\\}", "\\{1\\}"),
    ("\\begin{pmatrix}1\\\\2\\end{pmatrix}", "\\begin{pmatrix}2\\\\1\\end{pmatrix}"),
    ("10", "100"),
]


def written(tmp_path, *records):
    path = tmp_path / "math.jsonl"
    path.write_text("".join(f"{json.dumps(each)}\n" for each in records), "utf-8")
    return str(path)


def test_three_forms_of_a_record_are_one(tmp_path):
    task = Math.load(
        written(
            tmp_path,
            {"problem": "What is $2+3$?", "solution": "It is $\\boxed{5}$.", "answer": "5"},
            {"problem": "What is $2+3$?", "solution": "It is $\\boxed{5}$.", "level": "Level 1"},
            {"input_question": "What is $2+3$?", "input_correct_responses": ["5", "five"]},
        )
    )
    assert [each.record["answer"] for each in task.samples] == ["5", "5", "5"]
    assert {each.record["problem"] for each in task.samples} == {"What is $2+3$?"}
    assert task.reference(task.samples[2]).text == "$\\boxed{5}$"
    scores = task.score([(each, "assisted", "So \\boxed{5}.") for each in task.samples])
    assert [score.correct for score in scores] == [True] * 3
    (unread,) = task.score([(task.samples[0], "assisted", "I do not know")])
    assert (unread.correct, unread.parsed) == (False, False)


@pytest.mark.parametrize(
    ("record", "told"),
    [
        ({"solution": "\\boxed{5}"}, "problem is missing"),
        ({"problem": "x", "solution": "5"}, "has no"),
        ({"problem": "x", "answer": " "}, "answer is empty"),
        ({"input_question": "x", "input_correct_responses": []}, "names no accepted answer"),
        ({"input_question": "x", "input_correct_responses": [None]}, "begins with an empty answer"),
        ({"input_question": "x", "input_correct_responses": [" $"]}, "begins with an empty answer"),
    ],
)
def test_a_record_that_cannot_be_scored_is_told(tmp_path, record, told):
    with pytest.raises(TaskError, match=told):
        Math.load(written(tmp_path, record))


@pytest.mark.parametrize(("gold", "said"), WRONG)
def test_wrong_answers_are_wrong_in_both_orders(gold, said):
    for one, other in ((gold, said), (said, gold)):
        assert not graded(one, f"\\boxed{{{other}}}")["correct"]


@pytest.mark.parametrize("answer", [gold for gold, _ in WRONG])
def test_what_equals_as_text_is_equal_by_every_rule(answer):
    assert plain(answer) == plain(f" {answer} ")
    assert graded(answer, f"\\boxed{{{answer}}}")["correct"]
    assert minerva(answer, f"\\boxed{{{answer}}}")["correct"]


@pytest.mark.skipif(not REAL.is_file(), reason=f"MATH-500 is not at {REAL}")
@pytest.mark.slow
def test_math_500_grades_the_answers_of_others_wrong():
    task = Math.load(str(REAL))
    neighbours = [*task.samples[1:], task.samples[0]]
    others = [
        (each, "assisted", f"It is $\\boxed{{{other.record['answer']}}}$.")
        for each, other in zip(task.samples, neighbours, strict=True)
        if plain(each.record["answer"]) != plain(other.record["answer"])
    ]
    assert len(others) > 300
    wrong = [each.correct for each in task.score(others)]
    # One pair of neighbours is 5 and x=5.
    assert sum(map(bool, wrong)) <= 1
    said = [minerva_verdict(e.record["answer"], e.record["solution"]) for e in task.samples[:50]]
    assert said == [True] * 50
