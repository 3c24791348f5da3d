r"""`answer: regex`: the gold answer is a regular expression that is found in the completion.

{"prompt": "When did it happen?", "answer": "(?i)\\b(12|twelfth) of may\\b"}
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from harness.tasks.answers import pattern
from harness.tasks.answers.kind import AnswerKind, AnswerVerdict


class Regex(AnswerKind):
    """The gold answer is a regular expression that is found in the completion."""

    name = "regex"

    @property
    def conditions(self) -> Mapping[str, Any]:
        """The library, whose dialect grows, and how long it may search."""
        return {"regex": version("regex"), "seconds": pattern.SECONDS}

    def fault(self, record: Mapping[str, Any]) -> str | None:
        """An answer that does not compile."""
        answer = record["answer"]
        if not isinstance(answer, str) or not answer:
            return f"answer {answer!r} is not a regular expression"
        try:
            pattern.compiled(answer)
        except ValueError as error:
            return f"answer {error}"
        return None

    def reference(self, record: Mapping[str, Any]) -> None:
        """None: an expression is no text that a model would write."""
        del record

    def verdict(self, record: Mapping[str, Any], text: str) -> AnswerVerdict:
        """Look for the expression."""
        expression = record["answer"]
        try:
            correct = pattern.found(expression, text)
        except TimeoutError:
            detail = f"{expression!r} took more than {pattern.SECONDS:g} s"
            return AnswerVerdict(correct=False, parsed=False, detail=detail, settled=False)
        there = "found" if correct else "not found"
        return AnswerVerdict(correct, parsed=bool(text.strip()), detail=f"{expression!r} {there}")


ANSWER = Regex()
