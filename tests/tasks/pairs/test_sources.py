"""Files of runs: what is read, and that a file of something else is refused whole."""

from __future__ import annotations

import json

import pytest

from harness.errors import TaskError
from harness.tasks.pairs.sources import read_assisted, read_traces

TRACE = [{"type": "human", "content": "hello"}]


@pytest.fixture
def write(tmp_path):
    def write(document, name="file.json"):
        path = tmp_path / name
        path.write_text(document if isinstance(document, str) else json.dumps(document))
        return path

    return write


def test_prompts_by_key_without_the_samples_that_have_none(write):
    path = write({"humaneval_0": {"prompt": "a", "x": 1}, "humaneval_1": {"error": "timeout"}})
    assert read_assisted(path) == {"humaneval_0": "a"}


def test_traces_by_key_and_from_the_fallback_what_the_first_file_lacks(write):
    other = [{"type": "human", "content": "other"}]
    first = write({"humaneval_0": {"message_trace": TRACE}, "humaneval_1": {"message_trace": []}})
    second = write({f"humaneval_{n}": {"message_trace": other} for n in range(2)}, "fallback.json")
    assert read_traces(first) == {"humaneval_0": TRACE}
    assert read_traces(first, second) == {"humaneval_0": TRACE, "humaneval_1": other}


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ([1], "is not an object of samples"),
        ({}, "is not an object of samples"),
        ({"humaneval_0": "text"}, "humaneval_0 is not an object"),
        ({"humaneval_0": {"answer": "x"}}, "no entry has a"),
    ],
)
@pytest.mark.parametrize("read", [read_assisted, read_traces])
def test_a_file_of_something_else_is_refused_whole(write, document, problem, read):
    path = write(document)
    with pytest.raises(TaskError, match=problem) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_an_agentic_file_in_the_place_of_the_assisted_one_is_noticed(write):
    path = write({"humaneval_0": {"prompt": "a", "message_trace": TRACE}})
    with pytest.raises(TaskError, match="humaneval_0 has a message_trace; give this file as --age"):
        read_assisted(path)


def test_a_file_that_is_not_there_is_an_error_of_one_line(tmp_path):
    with pytest.raises(TaskError, match="cannot be read"):
        read_assisted(tmp_path / "nowhere.json")
