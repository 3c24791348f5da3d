"""The original's rank files and top-k traces are read, and what is none of them is told by line."""

from __future__ import annotations

import pytest

from harness.errors import TaskError
from harness.measure.rank_files import TopKTrace, read_ranks, read_traces

TRACE = '{"gt": 7, "top_ids": [3, 7], "top_probs": ["0.93210000", "0.05000000"]}\n'


def test_they_are_read_as_they_were_written(tmp_path):
    ranks, traces = tmp_path / "ranks.jsonl", tmp_path / "traces.jsonl"
    ranks.write_text("[1, 1, 3]\n[]\n\n[2]\n")
    assert read_ranks(ranks) == [[1, 1, 3], [], [2]]
    traces.write_text(TRACE + TRACE.replace('"gt": 7', '"gt": 9'))
    first, second = read_traces(traces)
    assert first == TopKTrace(7, (3, 7), (0.9321, 0.05))
    assert (first.rank, second.rank) == (2, None)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[1]\n[0]\n", r":2 0: Input should be greater than or equal to 1"),
        ("[1.5]\n", r":1 0: Input should be a valid integer"),
        ('{"a": 1}\n', r":1: Input should be a valid list"),
        ("[1\n", r":1: not JSON"),
    ],
)
def test_a_line_that_is_no_list_of_ranks_is_told(tmp_path, text, problem):
    file = tmp_path / "ranks.jsonl"
    file.write_text(text)
    with pytest.raises(TaskError, match=problem):
        read_ranks(file)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (', "0.05000000"', "", r":1: Value error, 2 top_ids, 1 top_probs"),
        ('"0.05000000"', '"0.99000000"', r"not sorted"),
        ('"0.05000000"', '"x"', r":1 top_probs.1: "),
        ('"gt": 7, ', "", r":1 gt: Field required"),
    ],
)
def test_a_trace_of_another_form_is_told(tmp_path, old, new, problem):
    file = tmp_path / "traces.jsonl"
    assert old in TRACE
    file.write_text(TRACE.replace(old, new))
    with pytest.raises(TaskError, match=problem):
        list(read_traces(file))


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(TaskError, match="cannot be read"):
        read_ranks(tmp_path / "none.jsonl")
