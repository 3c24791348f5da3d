"""Chat turns in a user's own data: what is wrong with them, and what columns of a table add."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_ROLES = ("system", "developer", "user", "assistant", "tool")


def said(message: Any) -> Any:
    """A turn without what it does not have: a column of Parquet has every key in every row."""
    if not isinstance(message, Mapping):
        return message
    return {key: value for key, value in message.items() if value is not None}


def faulty_turns(messages: Any) -> str | None:
    """What is wrong with chat turns, in words; None where they are some."""
    if not isinstance(messages, list) or not messages:
        return f"its messages {str(messages)[:60]} are not a list of turns"
    for number, message in enumerate(messages, start=1):
        if not isinstance(message, Mapping) or not {"role", "content"} <= message.keys():
            return f"its message {number} is not {{role, content}}"
        if message["role"] not in _ROLES:
            return f"its message {number} is by {message['role']!r}, not by {', '.join(_ROLES)}"
        if not isinstance(message["content"], str):
            return f"the content of its message {number} is not a text"
    return None
