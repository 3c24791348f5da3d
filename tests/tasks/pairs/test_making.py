"""Pairs from files and from a task: one answer, one marker, reasons for what is left out."""

from __future__ import annotations

import copy
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import TaskError
from harness.models.loading import load_tokenizer
from harness.tasks.by_name import load
from harness.tasks.conversations import code_reference
from harness.tasks.pairs.align import Aligner
from harness.tasks.pairs.making import pairs_from_files, pairs_from_task
from tests.tasks.pairs.small import MARKER, assisted_prompt, record, trace

TOKENIZER = load_tokenizer("zoo/moe")


def study(samples=3):
    numbers = range(samples)
    return (
        [record(n) for n in numbers],
        {f"humaneval_{n}": assisted_prompt(n) for n in numbers},
        {f"humaneval_{n}": trace(n) for n in numbers},
    )


def build(records, assisted, traces, **options):
    return pairs_from_files(records, assisted, traces, TOKENIZER, **options)


# What a pair is -----------------------------------------------------------------------------------


def test_every_record_becomes_a_pair_under_its_number():
    built = build(*study())
    assert [pair.key for pair in built.pairs] == ["humaneval_0", "humaneval_1", "humaneval_2"]
    assert built.problems == ()


@given(st.text(st.sampled_from("abx \t\n#="), max_size=30))
def test_both_texts_end_in_the_same_fenced_answer(body):
    records, assisted, traces = study(1)
    records[0]["canonical_solution"] = f"    return x  # {body}\n"
    (pair,) = build(records, assisted, traces).pairs
    answer = code_reference(records[0]["canonical_solution"]).text
    assert pair.assisted.endswith("<|im_start|>assistant\n" + answer)
    assert pair.agentic.endswith("<|im_start|>assistant\n" + answer)


def test_both_texts_carry_the_marker_once_above_the_function():
    (pair,) = build(*study(1)).pairs
    assert pair.assisted.count(MARKER) == 1
    assert pair.agentic.count(MARKER) == 1
    assert f"<tool_response>\n{MARKER}def f0(x):" in pair.agentic
    assert f"{MARKER}def f0(x):" in pair.assisted


def test_a_marker_that_is_there_is_not_set_again():
    records, assisted, traces = study(1)
    assisted["humaneval_0"] = assisted["humaneval_0"].replace(MARKER[1:], MARKER)
    traces["humaneval_0"][2]["content"] = MARKER + traces["humaneval_0"][2]["content"]
    (pair,) = build(records, assisted, traces).pairs
    assert (pair.assisted.count(MARKER), pair.agentic.count(MARKER)) == (1, 1)


def test_pairs_of_files_are_aligned():
    for pair in build(*study()).pairs:
        aligned = Aligner(TOKENIZER).align(pair)
        assert aligned.aligned_ok, aligned.aligned_errors
        assert aligned.sequence("assisted") == aligned.assisted_ids


def test_the_final_answer_of_a_trace_is_not_in_its_pair():
    records, assisted, traces = study(1)
    traces["humaneval_0"][3]["content"] = "MY OWN ANSWER"
    traces["humaneval_0"].append({"type": "ai", "content": "AND MORE", "tool_calls": []})
    (pair,) = build(records, assisted, traces).pairs
    assert "OWN" not in pair.agentic
    assert "MORE" not in pair.agentic


# What is left out ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("side", "message"),
    [
        (1, "humaneval_1: the files hold no assisted prompt for HumanEval/1; add it, or"),
        (2, "humaneval_1: the files hold no agentic message_trace for HumanEval/1; add it, or"),
    ],
)
def test_a_missing_side_is_an_error_that_names_the_sample(side, message):
    files = study()
    del files[side]["humaneval_1"]
    with pytest.raises(TaskError, match=message):
        build(*files)
    built = build(*files, skip_missing=True)
    assert [pair.key for pair in built.pairs] == ["humaneval_0", "humaneval_2"]
    assert [(problem.key, problem.missing) for problem in built.problems] == [("humaneval_1", True)]


def test_both_sides_may_be_missing():
    records, assisted, traces = study(2)
    del assisted["humaneval_1"], traces["humaneval_1"]
    built = build(records, assisted, traces, skip_missing=True)
    assert built.problems[0].reason == "no assisted prompt and no agentic message_trace"


def test_a_key_without_a_record_is_told():
    records, assisted, traces = study(2)
    built = build(records[:1], assisted, traces)
    assert len(built.pairs) == 1
    assert str(built.problems[0]) == "humaneval_1: no record of the data file has this key"
    assert len(built.problems) == 1


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda t: t.__setitem__(slice(1, 3), []), "the agentic trace has no tool call"),
        (lambda t: t.__delitem__(2), "the agentic trace calls a tool but has no tool result"),
        (lambda t: t[0].update(type="robot"), "message 1 of the trace has type 'robot'; known are"),
        (lambda t: t.__setitem__(0, "hello"), "message 1 of the trace has type None"),
        (lambda t: t[0].update(content=3), "content of message 1 of the trace is not text"),
        (lambda t: t[1].update(tool_calls=[{}]), "tool call 1 of message 2 of the trace has no"),
        (lambda t: t[1].update(tool_calls={"a": 1}), "tool_calls of message 2 of the trace are"),
        (lambda t: t[2].update(content="\ud800"), r"the agentic prompt holds '\ud800', half of a"),
    ],
)
def test_a_bad_trace_is_a_problem_of_its_sample_alone(change, reason):
    records, assisted, traces = study(2)
    change(traces["humaneval_0"])
    built = build(records, assisted, traces)
    assert [pair.key for pair in built.pairs] == ["humaneval_1"]
    assert built.problems[0].key == "humaneval_0"
    assert built.problems[0].reason.startswith(reason)
    assert not built.problems[0].missing


def test_an_assisted_prompt_without_the_marker_is_a_problem_of_its_sample():
    records, assisted, traces = study(2)
    assisted["humaneval_1"] = "Write f1."
    (problem,) = build(records, assisted, traces).problems
    expected = (
        "humaneval_1: the marker 'Function definition and docstring:' is missing in the assis"
    )
    assert str(problem).startswith(expected)


def test_a_tokenizer_without_a_template_is_a_problem_of_every_sample():
    bare = copy.deepcopy(TOKENIZER)
    bare.chat_template = None
    built = pairs_from_files(*study(2), bare)
    assert built.pairs == ()
    assert [problem.key for problem in built.problems] == ["humaneval_0", "humaneval_1"]
    assert "needs a chat template, and the tokenizer of" in built.problems[0].reason


def test_a_template_that_refuses_tools_is_a_problem_of_the_sample():
    strict = copy.deepcopy(TOKENIZER)
    strict.chat_template = (
        "{% if tools %}{{ raise_exception('no tools here') }}{% endif %}" + TOKENIZER.chat_template
    )
    built = pairs_from_files(*study(1), strict)
    assert built.problems[0].reason.startswith("prompt.style agentic cannot be rendered by the")
    assert ": no tools here;" in built.problems[0].reason


# From a task --------------------------------------------------------------------------------------


def test_a_tasks_pairs_are_its_two_styles_and_the_reference(micro):
    task = load("micro_humaneval")
    assert len(micro) == task.size
    pair, _ = micro["microhumaneval_7"]
    assert "Complete the function below." in pair.assisted
    assert "Complete the function in main.py." in pair.agentic
    answer = task.reference(task.samples[7]).text
    assert pair.assisted.endswith(answer)
    assert pair.agentic.endswith(answer)


def test_a_task_without_the_marker_has_problems_instead_of_pairs():
    built = pairs_from_task(load("micro_gsm8k", limit=2), TOKENIZER)
    assert built.pairs == ()
    assert "the marker" in built.problems[0].reason
    assert "micro_gsm8k" in built.problems[0].reason


def test_the_day_of_a_build_is_that_of_both_sides():
    dated = copy.deepcopy(TOKENIZER)
    dated.chat_template = "{{ strftime_now('%d %b %Y') }}" + TOKENIZER.chat_template
    (pair,) = pairs_from_files(*study(1), dated, day=date(2026, 1, 31)).pairs
    assert pair.assisted.startswith("31 Jan 2026<|im_start|>")
    assert pair.agentic.startswith("31 Jan 2026<|im_start|>")
