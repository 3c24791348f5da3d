r"""MATH (Hendrycks et al. 2021): competition problems, whose answers stand in a box.

MATH-500's form, or hendrycks_math's, which has no `answer`; and Meta's evaluation details of
Llama, of which a line has the problem and the accepted answers:

    {"problem": "What is $2+3$?", "solution": "It is $\\boxed{5}$.", "answer": "5", ...}
    {"problem": "What is $2+3$?", "solution": "It is $\\boxed{5}$.", "level": "Level 1", ...}
    {"input_question": "What is $2+3$?", "input_correct_responses": ["5"], ...}

Graded by math-verify as `answer: math` is (`docs/own_tasks.md` has its rules); an answer that
cannot be read is a wrong one. `metrics: [minerva]` grades by lm-eval's rule beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from harness.tasks.answers.math import ANSWER
from harness.tasks.answers.math_grader import boxed
from harness.tasks.base import Conversation, Reference, Sample, Score, Style, Task
from harness.tasks.conversations import maths_prompt
from harness.tasks.data_files import read_records
from harness.tasks.hub import hub_records

_HUB_NAME = "HuggingFaceH4/MATH-500"
_ASK = "Put the final answer in \\boxed{}."


@dataclass(frozen=True, eq=False)
class Math(Task):
    """Competition problems, right when the answer's mathematics equals the gold one's."""

    name = "math"
    version = 1
    metric = "exact_match"

    @classmethod
    def load(cls, path: str | None = None) -> Math:
        """Read a local JSONL file in one of the three forms, or fetch MATH-500 from the hub."""
        records = (
            read_records(path, (), check=fault)
            if path
            else (
                record
                for _, record in hub_records(
                    _HUB_NAME, "default", "test", ", or give a local JSONL file as `task.path`"
                )
            )
        )
        return cls(
            tuple(
                Sample(f"MATH/{index}", plain_record(record))
                for index, record in enumerate(records)
            )
        )

    def scored_here(self, *, unsafe_code: bool = False) -> Self:
        """Raise TaskError where the grader's library is not there."""
        ANSWER.ready(self.samples, unsafe_code=unsafe_code)
        return self

    @property
    def conditions(self) -> Mapping[str, Any]:
        """The libraries that compare, and how long they may."""
        return ANSWER.conditions

    def prompt(self, sample: Sample, style: Style) -> Conversation | str:
        """The problem, and where its answer is to stand."""
        return maths_prompt(f"{sample.record['problem']}\n{_ASK}", style, self.date)

    def reference(self, sample: Sample) -> Reference:
        """The worked solution; where there is none, the answer in a box."""
        solution = sample.record["solution"]
        if solution:
            return Reference("", solution, "")
        return Reference("$\\boxed{", sample.record["answer"], "}$")

    def stop_strings(self, style: Style) -> tuple[str, ...]:
        """Bare text has no end of turn: the next question ends the answer."""
        return ("Question:",) if style == "completion" else ()

    def score(self, answers: Sequence[tuple[Sample, Style, str]]) -> list[Score]:
        """Ask the grader."""
        return ANSWER.score(answers)


def plain_record(record: Mapping[str, Any]) -> dict[str, Any]:
    """The problem, its solution (or nothing) and its answer, whichever form a record has."""
    if "input_correct_responses" in record:
        accepted = [str(each) for each in record["input_correct_responses"]]
        question = str(record.get("input_question") or "")
        return {"problem": question, "solution": "", "answer": accepted[0]}
    solution = str(record.get("solution") or "")
    answer = record.get("answer")
    return {
        "problem": str(record["problem"]),
        "solution": solution,
        "answer": str(boxed(solution) if answer is None else answer),
    }


def fault(record: Mapping[str, Any]) -> str | None:
    """What is wrong with a record; None for one that can be asked and scored."""
    if "input_correct_responses" in record:
        accepted = record["input_correct_responses"]
        if not isinstance(accepted, list) or not accepted:
            return "input_correct_responses names no accepted answer"
        if accepted[0] is None or not str(accepted[0]).strip(" $"):
            return "input_correct_responses begins with an empty answer"
        if not str(record.get("input_question") or "").strip():
            return "input_question is empty"
        return None
    if not str(record.get("problem") or "").strip():
        return "problem is missing; a record has problem and solution or answer"
    answer = record.get("answer")
    if answer is None and boxed(str(record.get("solution") or "")) is None:
        return "answer is missing, and the solution has no \\boxed{}"
    if answer is not None and not str(answer).strip(" $"):
        return "answer is empty"
    return None
