"""The answer that a free text names, read in the way in which its target is."""

from __future__ import annotations

from harness.tasks.answers.plain_text import plain, said
from harness.tasks.number_answers import final_number
from harness.tasks.numbers import named


def answer_alike(text: str, target: str) -> str | None:
    """The same text for equal answers: the number that `text` ends with, by value, where the target
    ends with one too, or else what it calls its answer, as plain text. None where nothing is read.
    """
    if final_number(target) is None:
        return plain(said(text) or text) or None
    found = final_number(text)
    return None if found is None else named(found)
