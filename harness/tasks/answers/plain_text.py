"""When two short answers are the same text, and what of a longer one is its answer."""

from __future__ import annotations

import re
import unicodedata

_CUE = re.compile(r"\banswer(?:\s+is\b|\s*[*_]*\s*:)[*_]*:?\s*(?P<said>\S[^\n]*)", re.IGNORECASE)
#: Emphasis, and quotes: straight, curly (\u2018 to \u201d) and angular.
_AROUND = "*_`\"'\u2018\u2019\u201c\u201d\u00ab\u00bb$ "
_BEHIND = ".,;:!? "


def plain(text: str) -> str:
    """A text without what says nothing of an answer: case, blanks, emphasis, quotes, a last point.

    Unicode is compared by compatibility (NFKC), so that full-width letters are letters.
    """
    text = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    while text != (shorter := text.strip(_AROUND).rstrip(_BEHIND)):
        text = shorter
    return text


def said(text: str) -> str | None:
    """What stands behind the last "the answer is" or "answer:", to the end of its line, if any."""
    found = [match["said"] for match in _CUE.finditer(text)]
    return found[-1] if found else None
