"""JSON in completions: the whole text, or what stands in its first Markdown fence."""

from __future__ import annotations

import json
import re
from typing import Any, Never

_FENCE = re.compile(r"^ {0,3}```[^\n`]*\n(.*?)^ {0,3}```", re.DOTALL | re.MULTILINE)


def json_in(text: str, *, fenced: bool) -> Any:
    """The value that a completion writes. Raises ValueError where it writes none.

    NaN and Infinity, which Python's reader takes, are no JSON.
    """
    fence = _FENCE.search(text) if fenced else None
    try:
        return json.loads(text if fence is None else fence[1], parse_constant=_refuse)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def _refuse(constant: str) -> Never:
    raise ValueError(f"{constant} is no JSON")
