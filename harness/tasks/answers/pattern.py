"""Regular expressions of users over what models wrote: compiled once, searched for a limited time.

An expression may take longer than the universe for a text that it nearly fits, and models write
such texts. The library `regex` looks at the clock while it searches, in any thread.
"""

from __future__ import annotations

from functools import lru_cache

import regex

SECONDS = 1.0
"""How long one search may take; one that ends at all takes a thousandth of it."""


@lru_cache(maxsize=4096)
def compiled(pattern: str) -> regex.Pattern[str]:
    """The expression, in the library's own dialect; `.` takes no line break, `^` begins a text.

    Raises:
        ValueError: it does not compile; says why and where.
    """
    try:
        return regex.compile(pattern)
    except regex.error as error:
        raise ValueError(f"{pattern!r} is no regular expression: {error}") from None


def found(pattern: str, text: str) -> bool:
    """Whether the expression is found anywhere in the text. Raises TimeoutError."""
    return compiled(pattern).search(text, timeout=SECONDS) is not None


def last(pattern: str, text: str) -> str | None:
    """The last match's first group, or all of it where there are none. Raises TimeoutError."""
    matches = list(compiled(pattern).finditer(text, timeout=SECONDS))
    if not matches:
        return None
    match = matches[-1]
    return str(match[1] or "") if match.re.groups else str(match[0])
