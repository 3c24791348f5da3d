"""`answer: exact`: the completion is the answer, but for case, blanks, emphasis and a last point.

    {"prompt": "What is the capital of France?", "answer": "Paris"}

The whole completion counts, or what stands behind the last "answer:" or "the answer is" in its
line. Several answers may be right: a list.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.tasks.answers.kind import AnswerKind, AnswerVerdict
from harness.tasks.answers.plain_text import plain, said
from harness.tasks.base import Reference


class Exact(AnswerKind):
    """The completion is the gold answer, but for case, blanks, emphasis and final points."""

    name = "exact"

    def fault(self, record: Mapping[str, Any]) -> str | None:
        """An answer that is not a text, or says nothing."""
        for answer in _answers(record):
            if isinstance(answer, bool) or not isinstance(answer, str | int | float):
                return f"answer {answer!r} is not a text, nor a list of texts"
            if not plain(str(answer)):
                return f"answer {answer!r} is empty"
        return None if _answers(record) else "answer is an empty list"

    def reference(self, record: Mapping[str, Any]) -> Reference:
        """The first of the answers that are right."""
        return Reference("", str(_answers(record)[0]), "")

    def verdict(self, record: Mapping[str, Any], text: str) -> AnswerVerdict:
        """Whether the whole text, or what it calls its answer, is one of the gold ones."""
        read = plain(said(text) or text)
        expected = [plain(str(answer)) for answer in _answers(record)]
        if not read:
            return AnswerVerdict(correct=False, parsed=False, detail="no text")
        whole = plain(text)
        return AnswerVerdict(
            bool({read, whole} & set(expected)),
            parsed=True,
            detail=f"{read[:80]!r}, expected {' or '.join(expected)[:80]!r}",
            answer=whole if whole in expected else read,
        )


def _answers(record: Mapping[str, Any]) -> list[Any]:
    answer = record["answer"]
    return answer if isinstance(answer, list) else [answer]


ANSWER = Exact()
