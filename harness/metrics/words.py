"""The words of a text, as metrics count them: runs of letters and digits, small, in order."""

from __future__ import annotations

import re

_WORD = re.compile(r"\w+(?:['\u2019-]\w+)*")


def words(text: str) -> list[str]:
    """`Don't stop!` is `don't`, `stop`: apostrophes and hyphens within a word belong to it."""
    return [word.replace("\u2019", "'") for word in _WORD.findall(text.casefold())]
