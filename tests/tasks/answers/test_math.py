import json
import threading
from pathlib import Path

import pytest

from harness.tasks.answers.math import ANSWER, Grader
from harness.tasks.answers.math_grader import boxed
from harness.tasks.base import Sample

REAL = Path(__file__).parents[4] / "shared/data/math500_test.jsonl"


def verdict(gold, text):
    return ANSWER.verdict({"answer": gold}, text)


@pytest.mark.parametrize(
    ("gold", "text", "expected"),
    [
        ("\\frac{1}{2}", "It is \\boxed{0.5}.", (True, True)),
        ("\\frac13", "\\boxed{0.333333}", (True, True)),  # six digits
        ("\\frac13", "\\boxed{0.33}", (False, True)),
        ("2\\sqrt{2}", "So $\\sqrt 8$.", (True, True)),
        ("3", "First \\boxed{2}. No: \\boxed{3}", (True, True)),
        ("3", "First \\boxed{3}. No: \\boxed{2}", (False, True)),
        ("[1, 2)", "\\boxed{[1,2]}", (False, True)),
        ("[-2, 7]", "The answer is $-2 \\le x \\le 7$.", (True, True)),
        ("-2 \\le x \\le 7", "\\boxed{x \\in [-2, 7]}", (True, True)),
        ("\\{1, 2\\}", "\\boxed{2, 1}", (True, True)),
        ("(1, 2)", "\\boxed{(2, 1)}", (False, True)),
        (
            "\\begin{pmatrix}1\\\\2\\end{pmatrix}",
            "\\boxed{\\begin{bmatrix}1\\\\2\\end{bmatrix}}",
            (True, True),
        ),
        (
            "\\begin{pmatrix}1\\\\2\\end{pmatrix}",
            "\\boxed{\\begin{pmatrix}2\\\\1\\end{pmatrix}}",
            (False, True),
        ),
        ("\\text{Evelyn}", "The answer is Evelyn.", (True, True)),
        ("x^2 - 1", "\\boxed{(x-1)(x+1)}", (True, True)),
        ("50\\%", "\\boxed{50}", (True, True)),
        ("50\\%", "\\boxed{0.5}", (False, True)),
        ("[1, 2)", "\\boxed{1 \\le x < 2}", (True, True)),
        ("\\{1, 2\\}", "\\boxed{x=1 \\text{ or } x=2}", (True, True)),
        ("\\{1, 2\\}", "\\boxed{\\{1, 3\\}}", (False, True)),
        ("(1, 2)", "\\boxed{1, 2}", (True, True)),
        ("\\begin{pmatrix}1\\\\2\\end{pmatrix}", "\\boxed{(1,2)}", (False, True)),
        ("y=2x+1", "\\boxed{2x+1}", (True, True)),
        ("y=2x+1", "\\boxed{2x}", (False, True)),
        ("5", "I do not know", (False, False)),
    ],
)
def test_mathematics_is_compared_by_value(gold, text, expected):
    found = verdict(gold, text)
    assert (found.correct, found.parsed) == expected, found.detail


def test_a_box_may_hold_boxes_of_braces():
    assert boxed("\\boxed{1} and \\boxed{\\frac{1}{2}} end") == "\\frac{1}{2}"
    assert boxed("\\boxed{1") is None
    assert boxed("no box") is None


def test_time_is_limited_in_any_thread_and_the_next_answer_is_judged():
    grader, found = Grader(), []
    grader.ask({"gold": "1", "text": "1"})  # the process has begun

    def ask():
        tower = {"gold": "7", "text": "\\boxed{9^{9^{9^{9}}}}"}
        found.append(grader.ask(tower, seconds=0.5))
        found.append(grader.ask({"gold": "7", "text": "\\boxed{7}"}))

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    assert found == [None, {"correct": True, "read": "7"}]


@pytest.mark.skipif(not REAL.is_file(), reason=f"MATH-500 is not at {REAL}")
def test_every_reference_solution_of_math_500_is_right():
    records = [json.loads(line) for line in REAL.read_text().splitlines()]
    samples = [(Sample(each["unique_id"], each), "assisted", each["solution"]) for each in records]
    scores = ANSWER.score(samples)
    assert [score.detail for score in scores if not score.correct] == []
    assert len(scores) == 500
