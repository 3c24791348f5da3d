import re
from itertools import islice
from random import Random

from harness.tasks.conversations import final_number
from harness.tasks.micro_gsm8k import MicroGSM8K, draw_problem, held_out_problems, training_problem

TASK = MicroGSM8K.load()
STEP = re.compile(r"(\d+)([-+*/])(\d+)=<<\1\2\3=(\d+)>>\4 \w+\.")
OPERATORS = {
    "+": int.__add__,
    "-": int.__sub__,
    "*": int.__mul__,
    "/": int.__floordiv__,
}


def test_records_have_exactly_the_fields_of_gsm8k():
    assert TASK.size == 164
    assert all(set(sample.record) == {"question", "answer"} for sample in TASK.samples)
    assert [sample.id for sample in TASK.samples[:2]] == ["MicroGSM8K/0", "MicroGSM8K/1"]


def test_the_set_is_the_same_every_time_and_without_twins():
    fresh = list(islice(held_out_problems(), TASK.size))
    assert [p.question for p in fresh] == [s.record["question"] for s in TASK.samples]
    assert len({problem.key for problem in fresh}) == TASK.size


def test_references_are_right():
    for style in ("assisted", "agentic", "completion"):
        found = TASK.score([(s, style, TASK.reference(s).text) for s in TASK.samples])
        assert all(score.correct and score.parsed for score in found)


def test_every_step_of_an_answer_is_true_arithmetic():
    random = Random(2)
    for _ in range(500):
        problem = draw_problem(random)
        *steps, last = problem.answer.split("\n")
        results = []
        for step in steps:
            left, operator, right, result = STEP.search(step).groups()
            assert OPERATORS[operator](int(left), int(right)) == int(result)
            results.append(int(result))
            assert int(left) == (results[-2] if len(results) > 1 else int(left))
        assert last == f"#### {results[-1]}"
        assert final_number(problem.answer) == results[-1]


def test_evaluation_and_training_share_no_chain_of_numbers():
    random = Random(5)
    keys = {training_problem(random).key for _ in range(20_000)}
    assert not keys & {problem.key for problem in islice(held_out_problems(), TASK.size)}
