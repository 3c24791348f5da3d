"""Bytes for tokens: nothing of a text or a conversation is lost."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from harness.engines.contract import Request
from harness.engines.served.chat import ChatRoad, byte_tokenizer
from harness.tasks.base import Conversation
from harness.tasks.conversations import maths_prompt, render

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


@given(TEXTS)
def test_a_text_is_its_bytes_and_they_are_the_text(text):
    tokenizer = byte_tokenizer()
    ids = tokenizer(text)["input_ids"]
    assert len(ids) == len(text.encode())
    assert tokenizer.decode(ids) == text


@given(TEXTS, TEXTS)
def test_messages_arrive_as_they_were_written(system, user):
    messages = ({"role": "system", "content": system}, {"role": "user", "content": user})
    ids = render(byte_tokenizer(), Conversation(messages))
    body = ChatRoad("m").call(Request(tuple(ids), 5)).body
    assert body["messages"] == list(messages)


def test_arguments_of_tools_are_text_on_their_way():
    ids = render(byte_tokenizer(), maths_prompt("1 + 1?", "agentic"))
    body = ChatRoad("m").call(Request(tuple(ids), 5)).body
    (call,) = body["messages"][1]["tool_calls"]
    assert json.loads(call["function"]["arguments"]) == {"path": "problem.txt"}
    assert body["tools"][0]["function"]["name"] == "read_file"
