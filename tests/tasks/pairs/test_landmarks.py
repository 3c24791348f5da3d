"""Landmarks of a chat with the blocks of a larger model's template."""

from __future__ import annotations

from harness.models.loading import load_tokenizer
from harness.tasks.pairs.landmarks import message_positions, tool_positions
from harness.tasks.pairs.spans import tokenise
from tests.tasks.pairs.small import agentic_text, assisted_text

TOKENIZER = load_tokenizer("zoo/moe")
AGENTIC = agentic_text("def f(x):\n", "    return x").replace(
    "Tools: read_file",
    "<tools>read_file</tools>\n<tool_call>example</tool_call>\n<IMPORTANT>call it</IMPORTANT>",
)


def text_of(chat, start, end):
    return TOKENIZER.decode(chat.ids[start:end])


def test_every_tag_is_found_where_it_stands():
    chat = tokenise(TOKENIZER, AGENTIC)
    tools = tool_positions(chat)
    for name, tag in {
        "tool_call_first_open": "<tool_call>",
        "tool_call_actual_open": "<tool_call>",
        "tool_response_open": "<tool_response>\n",
        "tool_response_close": "</tool_response>",
        "tools_block_open": "<tools>",
        "important_close": "</IMPORTANT>",
    }.items():
        assert tag in text_of(chat, tools[name].start, tools[name].end)
    assert tools["tool_call_first_open"] == tools["tool_call_example_open"]
    assert tools["tool_call_actual_open"].start > tools["tool_call_example_close"].start
    assert tools["tool_response_content_start"] == tools["tool_response_open"].end


def test_every_turn_is_found_where_it_stands():
    chat = tokenise(TOKENIZER, AGENTIC)
    at = message_positions(chat)
    assert text_of(chat, at["system_start"], at["system_start_end"]) == "<|im_start|>system\n"
    content = text_of(chat, at["system_content_start"], at["system_content_end"])
    assert content.startswith("<tools>")
    assert content.endswith("</IMPORTANT>")
    assert text_of(chat, at["user_end"], at["user_end_end"]) == "<|im_end|>"
    assert text_of(chat, at["user_start_end"], at["user_end"]).startswith("Complete")
    assert text_of(chat, at["assistant_start"], at["assistant_start_end"]).endswith("assistant\n")


def test_what_a_chat_lacks_is_not_found_and_the_first_user_turn_still_is():
    chat = tokenise(TOKENIZER, assisted_text("def f(x):\n", "    return x"))
    at = message_positions(chat)
    assert at["system_start"] == at["system_content_end"] == -1
    assert at["user_start"] == 0
    assert tool_positions(chat)["tool_call_first_open"].start == -1
    assert tool_positions(chat)["tool_response_content_start"] == -1
