from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import TaskError
from harness.tasks import micro_gsm8k, micro_humaneval
from harness.tasks.contrast import answer_pairs, style_pairs, wrong_answer
from harness.tasks.conversations import final_number


def test_the_content_decides_the_hash_and_not_the_id():
    problem = micro_humaneval.training_problem(Random(0)).prompt
    other = micro_humaneval.training_problem(Random(1)).prompt
    first, again = style_pairs([problem, problem], code=True)
    assert first.id != again.id
    assert first.content_hash == again.content_hash
    assert first.content_hash != style_pairs([other], code=True)[0].content_hash


def test_styles_stop_where_a_tool_is_called_and_where_the_answer_begins():
    (pair,) = style_pairs(["def f(x):\n"], code=True)
    assert [message["role"] for message in pair.positive.prompt.messages] == ["user"]
    assert pair.positive.prompt.tools
    assert "def f(x)" in pair.negative.prompt.messages[0]["content"]
    assert not pair.negative.prompt.tools


@given(st.integers(0, 2**32), st.integers(0, 2**32))
def test_a_wrong_answer_differs_in_its_last_result_alone(problem_seed, seed):
    right = micro_gsm8k.training_problem(Random(problem_seed)).answer
    wrong = wrong_answer(right, Random(seed))
    assert final_number(wrong) != final_number(right)
    assert final_number(wrong) >= 0
    *worked, last = right.split("\n")
    *also_worked, other = wrong.split("\n")
    assert worked[:-1] == also_worked[:-1]
    # The last worked line says the same wrong result as the final one, and the same sum.
    assert also_worked[-1].split("=")[0] == worked[-1].split("=")[0]
    assert f">>{final_number(wrong)} " in also_worked[-1]
    assert also_worked[-1].count(str(final_number(wrong))) >= 2
    assert other == f"#### {final_number(wrong)}"
    assert last != other


def test_answers_come_in_pairs_that_share_their_question():
    (pair,) = answer_pairs([("How many?", "2+2=<<2+2=4>>4 pens.\n#### 4")], "completion")
    assert pair.positive.prompt == pair.negative.prompt == "Question: How many?\nAnswer:"
    assert pair.positive.answer.endswith("#### 4")


def test_an_answer_without_a_number_is_refused():
    with pytest.raises(TaskError, match="'none' ends no worked answer"):
        wrong_answer("none", Random(0))
