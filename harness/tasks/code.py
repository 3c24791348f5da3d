"""What all code tasks share: HumanEval's program text, scoring in separate processes, pass@k.

A record has HumanEval's five fields: `task_id`, `prompt`, `canonical_solution`, `test` (defines
`check(candidate)`) and `entry_point`. A program is prompt, completion, test and the call of
`check`; it passes when it runs to its end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import comb
from typing import Any

from harness import sandbox
from harness.tasks.base import Conversation, Reference, Sample, Score, Style, Task
from harness.tasks.conversations import code_prompt, code_reference, extract_code

FIELDS = ("task_id", "prompt", "canonical_solution", "test", "entry_point")

_DRAWS_SHOWN = (1, 5, 10, 100)
#: Where a bare continuation has left the function (Chen et al. 2021, arXiv:2107.03374).
_OUTSIDE_FUNCTION = ("\nclass", "\ndef", "\n#", "\nif", "\nprint")


@dataclass(frozen=True, eq=False)
class CodeTask(Task):
    """Functions to be completed, right when the record's tests pass."""

    metric = "pass@1"

    def prompt(self, sample: Sample, style: Style) -> Conversation | str:
        """The function's head, pasted, read from main.py, or bare."""
        return code_prompt(sample.record["prompt"], style)

    def reference(self, sample: Sample) -> Reference:
        """The canonical body in a fence."""
        return code_reference(sample.record["canonical_solution"])

    def stop_strings(self, style: Style) -> tuple[str, ...]:
        """Bare code has no end of turn: what is not indented ends it."""
        return _OUTSIDE_FUNCTION if style == "completion" else ()

    def score(self, answers: Sequence[tuple[Sample, Style, str]]) -> list[Score]:
        """Run every answer's program, several at a time; an answer without code is wrong."""
        completions = [
            text if style == "completion" else _extract(sample, text)
            for sample, style, text in answers
        ]
        programs = [
            program_text(sample.record, completion)
            for (sample, _, _), completion in zip(answers, completions, strict=True)
            if completion is not None
        ]
        verdicts = iter(sandbox.check(programs))
        return [
            _unreadable() if completion is None else _score(next(verdicts))
            for completion in completions
        ]

    def metrics(self, scores: Sequence[Score]) -> dict[str, float]:
        """pass@k for each usual k not above the number of draws, and the share with code."""
        right = sum(score.correct for score in scores)
        shown = {
            f"pass@{k}": pass_at_k(len(scores), right, k) for k in _DRAWS_SHOWN if k <= len(scores)
        }
        return {**shown, "parsed": sum(score.parsed for score in scores) / len(scores)}


def program_text(record: Mapping[str, Any], completion: str) -> str:
    """The program that HumanEval runs for a completion."""
    call = f"check({record['entry_point']})"
    return f"{record['prompt']}{completion}\n{record['test']}\n{call}"


def pass_at_k(draws: int, right: int, k: int) -> float:
    """Unbiased probability that at least one of `k` draws is right (Chen et al. 2021, eq. 1)."""
    return 1.0 - comb(draws - right, k) / comb(draws, k)


def _extract(sample: Sample, text: str) -> str | None:
    return extract_code(text, sample.record["prompt"], sample.record["entry_point"])


def _unreadable() -> Score:
    return Score(correct=False, parsed=False, detail="no code")


def _score(verdict: sandbox.Verdict) -> Score:
    return Score(verdict.passed, parsed=True, detail=verdict.detail)
