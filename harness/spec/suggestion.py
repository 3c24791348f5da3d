"""Suggests the known name that was probably meant by an unknown one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping


def suggestion(name: str, names: Iterable[str], also: Mapping[str, str] | None = None) -> str:
    """` did you mean x?`, or nothing where no name is close; `also` says what other words mean."""
    candidates = list(names)
    close = [other for other in candidates if other.endswith(f".{name}")]
    close = close or [meant for meant in [(also or {}).get(name)] if meant in candidates]
    close = close or difflib.get_close_matches(name, candidates, n=1)
    return f" did you mean {' or '.join(close)}?" if close else ""
