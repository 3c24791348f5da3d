"""Reads what an agent recorded of its own run, as a conversation that a chat template renders.

    {"message_trace": [
        {"type": "human", "content": "Complete the function in main.py."},
        {"type": "ai", "content": "", "tool_calls": [
            {"name": "read_file", "args": {"path": "main.py"}, "id": "call_0"}]},
        {"type": "tool", "content": "def add(x, y): ...", "tool_call_id": "call_0"},
        {"type": "ai", "content": "    return x + y"}]}

Messages have LangChain's types; a call may also have OpenAI's shape (`function.name`,
`function.arguments`, which may be a JSON text). The final answer is cut off.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from harness.errors import TaskError
from harness.tasks.base import Conversation, Message
from harness.tasks.conversations import CODE_MARKER, READ_FILE

_ROLES = {"human": "user", "ai": "assistant", "tool": "tool", "system": "system"}


def conversation(trace: Sequence[Any]) -> Conversation:
    """A trace up to where its final answer began, its first tool result under the marker.

    Raises:
        TaskError: a message of another shape, no tool call, no tool result.
    """
    messages = [_message(number, entry) for number, entry in enumerate(trace, start=1)]
    while messages and messages[-1]["role"] == "assistant" and not messages[-1].get("tool_calls"):
        messages.pop()
    if not any(message.get("tool_calls") for message in messages):
        raise TaskError("the agentic trace has no tool call; is it an assisted one?")
    results = [at for at, message in enumerate(messages) if message["role"] == "tool"]
    if not results:
        raise TaskError("the agentic trace calls a tool but has no tool result")
    if not any(CODE_MARKER in messages[at]["content"] for at in results):
        first = messages[results[0]]
        messages[results[0]] = {**first, "content": CODE_MARKER + first["content"]}
    return Conversation(tuple(messages), (READ_FILE,))


def _message(number: int, entry: Any) -> Message:
    kind = entry.get("type") if isinstance(entry, Mapping) else None
    if kind not in _ROLES:
        known = ", ".join(_ROLES)
        raise TaskError(f"message {number} of the trace has type {kind!r}; known are {known}")
    message: dict[str, Any] = {"role": _ROLES[kind], "content": _text(number, entry)}
    if kind == "tool":
        message["tool_call_id"] = entry.get("tool_call_id") or ""
    calls = entry.get("tool_calls")
    if kind == "ai" and calls:
        if not isinstance(calls, list):
            raise TaskError(f"tool_calls of message {number} of the trace are not a list")
        message["tool_calls"] = [_call(number, at, call) for at, call in enumerate(calls)]
    return message


def _text(number: int, entry: Mapping[str, Any]) -> str:
    """A message's text; LangChain also writes a list of parts, of which texts count."""
    content = entry.get("content")
    if content is None:
        return ""
    if isinstance(content, list):
        parts = [part.get("text") if isinstance(part, Mapping) else part for part in content]
        texts = [part for part in parts if isinstance(part, str)]
        if len(texts) == len(parts):
            return "".join(texts)
    if not isinstance(content, str):
        raise TaskError(f"content of message {number} of the trace is not text")
    return content


def _call(number: int, at: int, call: Any) -> dict[str, Any]:
    """A tool call in the shape of `apply_chat_template`."""
    call = call if isinstance(call, Mapping) else {}
    function = call.get("function")
    function = function if isinstance(function, Mapping) else {}
    name = call.get("name") or function.get("name")
    arguments = call.get("args", function.get("arguments", {}))
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments or "{}")
        except ValueError:
            arguments = None
    if not isinstance(name, str) or not isinstance(arguments, Mapping):
        raise TaskError(
            f"tool call {at + 1} of message {number} of the trace has no name with arguments"
        )
    return {
        "id": call.get("id") or f"call_{at}",
        "type": "function",
        "function": {"name": name, "arguments": dict(arguments)},
    }
