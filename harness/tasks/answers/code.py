r"""`answer: code`: the completion completes a function, and the record's tests pass in the sandbox.

    {"task_id": "mine/0", "prompt": "def add(a, b):\n", "entry_point": "add",
     "test": "def check(candidate):\n    assert candidate(1, 2) == 3\n"}

HumanEval's records, read and run as HumanEval's are; a `canonical_solution` may be left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.tasks import code
from harness.tasks.answers.kind import AnswerKind
from harness.tasks.base import Reference, Sample, Score, Style
from harness.tasks.conversations import CODE_REQUEST, code_reference


class Code(AnswerKind):
    """The record's tests pass on the function that the completion completes."""

    name = "code"
    version = code.CodeTask.version
    metric = code.CodeTask.metric
    fields = ("prompt", "test", "entry_point")

    def __init__(self, judge: code.CodeTask | None = None) -> None:
        self._judge = judge or code.CodeTask(())

    def ready(self, samples: Sequence[Sample], *, unsafe_code: bool) -> Code:
        """Find the isolation, and try the tests across it: they are the user's own."""
        judge = code.CodeTask(samples, unproven=True).scored_here(unsafe_code=unsafe_code)
        return Code(judge)

    @property
    def isolated_by(self) -> str | None:
        """The layers around completions, once they are known."""
        return self._judge.isolated_by

    @property
    def conditions(self) -> Mapping[str, Any]:
        """The sandbox's, and what finds the code of an answer."""
        return self._judge.conditions

    def kept(self, record: Mapping[str, Any], name: str) -> dict[str, Any]:
        """With its name, and no solution where there is none."""
        return {"canonical_solution": "", **record, "task_id": name}

    def fault(self, record: Mapping[str, Any]) -> str | None:
        """As HumanEval's records."""
        texts = (*self.fields, "canonical_solution")
        wrong = next((name for name in texts if not isinstance(record[name], str)), None)
        return f"no text in {wrong}" if wrong else code.fault(record)

    def reference(self, record: Mapping[str, Any]) -> Reference | None:
        """The canonical body in a fence, where there is one."""
        solution = record["canonical_solution"]
        return code_reference(solution) if solution.strip() else None

    def prompt(self, record: Mapping[str, Any], style: Style) -> str:
        """The function's head, with the request to complete it in chat styles."""
        head = str(record["prompt"])
        return head if style == "completion" else CODE_REQUEST + head

    def stop_strings(self, style: Style) -> tuple[str, ...]:
        """What is not indented ends bare code."""
        return self._judge.stop_strings(style)

    def score(self, answers: Sequence[tuple[Sample, Style, str]]) -> list[Score]:
        """Run every answer's code."""
        return self._judge.score(answers)

    def metrics(self, scores: Sequence[Score]) -> dict[str, float]:
        """pass@k, and the common rates."""
        return self._judge.metrics(scores)


ANSWER = Code()
