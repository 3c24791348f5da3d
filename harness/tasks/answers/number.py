"""`answer: number`: the number that the completion ends with equals the answer's, by value.

    {"prompt": "What is 17 * 3?", "answer": 51}

Both are read by `number_answers`: the last `####` or box, else "the answer is", else the last one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.tasks.answers.kind import AnswerKind, AnswerVerdict
from harness.tasks.base import Reference
from harness.tasks.number_answers import final_number
from harness.tasks.numbers import named


class Number(AnswerKind):
    """The number that the completion ends with is the gold one, by value."""

    name = "number"

    def fault(self, record: Mapping[str, Any]) -> str | None:
        """An answer without a number."""
        answer = record["answer"]
        if isinstance(answer, bool) or not isinstance(answer, str | int | float):
            return f"answer {answer!r} is not a number"
        if final_number(str(answer)) is None:
            return f"answer {answer!r} holds no number"
        return None

    def reference(self, record: Mapping[str, Any]) -> Reference:
        """The answer as it is written, a worked one with its steps."""
        return Reference("", str(record["answer"]), "")

    def verdict(self, record: Mapping[str, Any], text: str) -> AnswerVerdict:
        """Compare final numbers."""
        expected, found = final_number(str(record["answer"])), final_number(text)
        if found is None:
            return AnswerVerdict(correct=False, parsed=False, detail="no number")
        detail = f"{found}, expected {expected}"
        return AnswerVerdict(found == expected, parsed=True, detail=detail, answer=named(found))


ANSWER = Number()
