"""Traces in the shapes that agents write them."""

from __future__ import annotations

import json

from harness.tasks.conversations import CODE_MARKER, READ_FILE
from harness.tasks.pairs.trace import conversation
from tests.tasks.pairs.small import trace


def test_a_trace_becomes_a_conversation_with_the_tool():
    found = conversation(trace())
    assert found.tools == (READ_FILE,)
    assert [message["role"] for message in found.messages] == ["user", "assistant", "tool"]
    (call,) = found.messages[1]["tool_calls"]
    assert call["function"] == {"name": "read_file", "arguments": {"path": "main.py"}}
    assert found.messages[2]["content"].startswith(CODE_MARKER + "def f0")


def test_a_call_may_have_the_shape_of_openai():
    entries = trace()
    entries[1]["tool_calls"] = [
        {"function": {"name": "read_file", "arguments": json.dumps({"path": "main.py"})}}
    ]
    (call,) = conversation(entries).messages[1]["tool_calls"]
    assert call["function"] == {"name": "read_file", "arguments": {"path": "main.py"}}
    assert call["id"] == "call_0"


def test_content_may_be_nothing_or_a_list_of_parts():
    entries = trace()
    entries[0]["content"] = [{"type": "text", "text": "Read "}, "main.py"]
    entries[1]["content"] = None
    found = conversation(entries).messages
    assert found[0]["content"] == "Read main.py"
    assert found[1]["content"] == ""


def test_only_the_first_tool_result_gets_the_marker():
    entries = trace()
    found = conversation([*entries[:3], *entries[1:3]]).messages
    assert [
        CODE_MARKER in message["content"] for message in found if message["role"] == "tool"
    ] == [
        True,
        False,
    ]


def test_a_marker_in_the_users_words_is_not_the_one_of_the_result():
    entries = trace()
    entries[0]["content"] += f"Look for {CODE_MARKER}"
    assert conversation(entries).messages[2]["content"].startswith(CODE_MARKER)


def test_the_trace_itself_is_left_as_it_was():
    entries = trace()
    before = json.dumps(entries)
    conversation(entries)
    assert json.dumps(entries) == before
