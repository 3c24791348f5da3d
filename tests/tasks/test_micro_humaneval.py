from itertools import islice
from random import Random

import pytest

from harness.tasks.holdout import is_held_out
from harness.tasks.micro_humaneval import (
    MicroHumanEval,
    draw_problem,
    held_out_problems,
    training_problem,
)
from harness.tasks.mutants import single_constant_mutants

TASK = MicroHumanEval.load()


def scores(completions):
    return TASK.score([(sample, "completion", text) for sample, text in completions])


def test_records_have_exactly_the_fields_of_humaneval():
    assert TASK.size == 164
    for index, sample in enumerate(TASK.samples):
        assert set(sample.record) == {
            "task_id",
            "prompt",
            "canonical_solution",
            "test",
            "entry_point",
        }
        assert sample.id == sample.record["task_id"] == f"MicroHumanEval/{index}"


def test_the_set_is_the_same_every_time_and_without_twins():
    fresh = [(p.prompt, test) for p, test in islice(held_out_problems(), TASK.size)]
    assert fresh == [(s.record["prompt"], s.record["test"]) for s in TASK.samples]
    assert len({sample.record["prompt"] for sample in TASK.samples}) == TASK.size


@pytest.mark.parametrize("style", ["assisted", "agentic"])
def test_references_pass_in_both_chat_styles(style):
    found = TASK.score([(s, style, TASK.reference(s).text) for s in TASK.samples])
    details = {score.detail for score in found}
    assert details == {"passed [the fence continues the prompt]"}


def test_every_problem_has_wrong_choices_and_none_of_them_passes():
    wrong = [(sample, body) for sample in TASK.samples for body in TASK.distractors(sample)]
    assert {sample.id for sample, _ in wrong} == set(TASK.by_id)
    constant = [pair for pair in wrong if len(TASK.distractors(pair[0])) == 1]
    assert len(constant) == 2
    assert not any(score.correct for score in scores(constant))


def test_no_single_constant_mutant_passes():
    mutants = [
        (sample, mutant)
        for sample in TASK.samples
        for mutant in single_constant_mutants(sample.record["canonical_solution"])
    ]
    assert len(mutants) > 2 * TASK.size
    assert [
        body for (_, body), score in zip(mutants, scores(mutants), strict=True) if score.correct
    ] == []


@pytest.mark.parametrize("result", ["None", "True", "False", "0", "''", "[]", "{parameter}"])
def test_no_trivial_program_passes(result):
    bodies = []
    for sample in TASK.samples:
        parameter = sample.record["prompt"].split("(")[1].split(")")[0]
        bodies.append((sample, f"    return {result.format(parameter=parameter)}\n"))
    assert not any(score.correct for score in scores(bodies))


def test_evaluation_and_training_share_no_program():
    trained = Random(5)
    keys = {training_problem(trained).key for _ in range(20_000)}
    held_out = {problem.key for problem, _ in islice(held_out_problems(), TASK.size)}
    assert not keys & held_out
    assert all(is_held_out(key) for key in held_out)
    assert len(held_out) > 120


def test_the_example_in_the_docstring_is_true():
    random = Random(3)
    for _ in range(300):
        problem = draw_problem(random)
        scope = {}
        exec(problem.prompt + problem.solution, scope)
        call, result = problem.prompt.split(">>> ")[1].split("\n")[:2]
        assert repr(eval(call, scope)) == result.strip()
