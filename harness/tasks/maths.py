"""What all word-problem tasks share: prompts, the numeric rule, `exact_match`.

A record has GSM8K's two fields: `question`, and `answer`, whose last line is `#### N`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.errors import TaskError
from harness.tasks.base import Conversation, Reference, Sample, Score, Style, Task
from harness.tasks.conversations import calls_tool, maths_prompt, maths_reference
from harness.tasks.number_answers import final_number
from harness.tasks.numbers import named

FIELDS = ("question", "answer")


def fault(record: Mapping[str, Any]) -> str | None:
    """What is wrong with a record beyond its fields; None for one that can be asked and scored."""
    if not record["question"].strip():
        return "question is empty"
    if final_number(record["answer"]) is None:
        return f"answer {record['answer'][-60:]!r} holds no number; expected a last line `#### N`"
    return None


@dataclass(frozen=True, eq=False)
class MathsTask(Task):
    """Word problems, right when the final number equals the reference's as a decimal."""

    version = 2
    metric = "exact_match"
    names_answers = True

    def prompt(self, sample: Sample, style: Style) -> Conversation | str:
        """The question, pasted, read from problem.txt, or as `Question: ... Answer:`."""
        return maths_prompt(sample.record["question"], style, self.date)

    def reference(self, sample: Sample) -> Reference:
        """The worked answer."""
        return maths_reference(sample.record["answer"])

    def stop_strings(self, style: Style) -> tuple[str, ...]:
        """Bare text has no end of turn: the next question ends the answer."""
        return ("Question:",) if style == "completion" else ()

    def score(self, answers: Sequence[tuple[Sample, Style, str]]) -> list[Score]:
        """Compare final numbers."""
        return [_score(sample, text) for sample, _, text in answers]


def _score(sample: Sample, text: str) -> Score:
    expected = final_number(sample.record["answer"])
    if expected is None:
        raise TaskError(f"{sample.id}: its reference answer holds no number; expected `#### N`")
    found = final_number(text)
    if found is None:
        return Score(correct=False, parsed=False, detail="no number", tool_call=calls_tool(text))
    detail = f"{found}, expected {expected}"
    return Score(
        found == expected,
        parsed=True,
        detail=detail,
        tool_call=calls_tool(text),
        answer=named(found),
    )
