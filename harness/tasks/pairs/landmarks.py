"""Where a chat's turns, tool definitions, calls and responses begin and end, in tokens.

Names and meanings are those of the study's `pair_tokens.json`. Templates of other families than
Qwen's lack some or all of these tags: their positions are -1.
"""

from __future__ import annotations

from harness.tasks.pairs.aligned import Span
from harness.tasks.pairs.spans import NOT_FOUND, TokenisedText

_TURN_END = "<|im_end|>"


def tool_positions(chat: TokenisedText) -> dict[str, Span | int]:
    """First tags of each kind; `example` ones from the system turn on, `actual` ones after it."""
    system = chat.text.find("<|im_start|>system")
    turn_end = chat.text.find(_TURN_END, system) if system >= 0 else -1
    response = _with_line_break(chat, "<tool_response>")
    found = {
        "tool_call_first_open": chat.find("<tool_call>"),
        "tool_call_first_close": chat.find("</tool_call>"),
        "tool_call_example_open": chat.find("<tool_call>", system),
        "tool_call_example_close": chat.find("</tool_call>", system),
        "tool_call_actual_open": chat.find("<tool_call>", turn_end),
        "tool_call_actual_close": chat.find("</tool_call>", turn_end),
        "tool_response_open": response,
        "tool_response_close": chat.find("</tool_response>"),
        "tools_block_open": chat.find("<tools>"),
        "tools_block_close": chat.find("</tools>"),
        "important_open": chat.find("<IMPORTANT>"),
        "important_close": chat.find("</IMPORTANT>"),
    }
    spans: dict[str, Span | int] = {
        name: Span(start=start, end=end) for name, (start, end) in found.items()
    }
    spans["tool_response_content_start"] = response[1]
    return spans


def message_positions(chat: TokenisedText) -> dict[str, int]:
    """First system, user and assistant turn: where their tags and contents start and end."""
    system = chat.text.find("<|im_start|>system")
    system_open = _with_line_break(chat, "<|im_start|>system")
    system_close = chat.find(_TURN_END, system)
    # Without a system turn the first user turn counts; the study finds none then.
    after = chat.text.find(_TURN_END, system) if system >= 0 else 0
    user = chat.text.find("<|im_start|>user", after)
    user_open = _with_line_break(chat, "<|im_start|>user", after)
    user_close = chat.find(_TURN_END, user)
    assistant = _with_line_break(chat, "<|im_start|>assistant")
    return {
        "system_start": system_open[0],
        "system_start_end": system_open[1],
        "system_end": system_close[0],
        "system_end_end": system_close[1],
        "system_content_start": system_open[1],
        "system_content_end": system_close[0],
        "user_start": user_open[0],
        "user_start_end": user_open[1],
        "user_end": user_close[0],
        "user_end_end": user_close[1],
        "assistant_start": assistant[0],
        "assistant_start_end": assistant[1],
    }


def _with_line_break(chat: TokenisedText, tag: str, after: int = 0) -> tuple[int, int]:
    """A tag together with the line break that follows it, where one does."""
    found = chat.find(f"{tag}\n", after)
    return chat.find(tag, after) if found == NOT_FOUND else found
