"""What all code tasks share: HumanEval's records, scoring in the sandbox, pass@k.

A record has HumanEval's five fields: `task_id`, `prompt`, `canonical_solution`, `test` (defines
`check(candidate)`) and `entry_point`. A completion passes when `check` returns. The function runs
in one process and `check` in another, with plain data between them: a record whose tests need more
than that is refused when the run is planned. No completion is ever an error: whatever it does, it
gets a score.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from math import comb
from typing import Any

from harness import sandbox
from harness.errors import TaskError
from harness.tasks.base import (
    Conversation,
    Doubt,
    Reference,
    Sample,
    Score,
    Style,
    Task,
    common_rates,
)
from harness.tasks.code_answers import CodeReading, read_code
from harness.tasks.conversations import calls_tool, code_prompt, code_reference

FIELDS = ("task_id", "prompt", "canonical_solution", "test", "entry_point")

#: How a check ends that ends so again. A time-out, or a process that died, may be the machine's.
_SETTLED = frozenset(
    {sandbox.Outcome.PASSED, sandbox.Outcome.ASSERTION_FAILED, sandbox.Outcome.EXCEPTION}
)

_DRAWS_SHOWN = (1, 5, 10, 100)
_DOES_NOTHING = "    return None\n"
#: Where a bare continuation has left the function (Chen et al. 2021, arXiv:2107.03374).
_OUTSIDE_FUNCTION = ("\nclass", "\ndef", "\n#", "\nif", "\nprint")


def fault(record: Mapping[str, Any]) -> str | None:
    """What is wrong with a record beyond its fields; None for one that can be asked and scored."""
    name, prompt = record["entry_point"], record["prompt"]
    if not record["task_id"].strip():
        return "task_id is empty; give every record a name of its own"
    if not prompt.strip():
        return "prompt is empty; expected the head of a function"
    if not name.isidentifier():
        return f"entry_point {name[:60]!r} is not the name of a function"
    return None


@dataclass(frozen=True, eq=False)
class CodeTask(Task):
    """Functions to be completed, right when the record's tests pass."""

    #: Where completions run; None until it is found out.
    isolation: sandbox.Isolation | None = None
    #: Whether the records are the user's own: their tests are tried on their solutions first.
    unproven: bool = False

    version = 2
    metric = "pass@1"

    @property
    def isolated_by(self) -> str | None:
        """The layers around completions, once they are known."""
        return None if self.isolation is None else str(self.isolation)

    @property
    def conditions(self) -> Mapping[str, Any]:
        """The sandbox, its limits, its Python and numpy, and what finds the code of an answer."""
        return {
            "isolation": str(self.isolation or sandbox.choose()),
            "sandbox": sandbox.SCORER_VERSION,
            "limits": dict(sandbox.LIMITS),
            "python": sys.version,
            "numpy": version("numpy"),
            "markdown-it-py": version("markdown-it-py"),
        }

    def prompt(self, sample: Sample, style: Style) -> Conversation | str:
        """The function's head, pasted, read from main.py, or bare."""
        return code_prompt(sample.record["prompt"], style, self.date)

    def reference(self, sample: Sample) -> Reference:
        """The canonical body in a fence."""
        return code_reference(sample.record["canonical_solution"])

    def stop_strings(self, style: Style) -> tuple[str, ...]:
        """Bare code has no end of turn: what is not indented ends it."""
        return _OUTSIDE_FUNCTION if style == "completion" else ()

    def scored_here(self, *, unsafe_code: bool) -> CodeTask:
        """Find the isolation for completions; unproven tests have to be judged across it once."""
        ready = replace(self, isolation=sandbox.choose(unsafe_code=unsafe_code))
        if self.unproven:
            ready.prove()
        return ready

    def prove(self) -> None:
        """Raise TaskError unless each sample's own solution passes its tests.

        Where it has none, its tests are at least tried on a function that does nothing.
        """
        solutions = [sample.record["canonical_solution"] for sample in self.samples]
        checks = [
            _check(sample, solution if solution.strip() else _DOES_NOTHING)
            for sample, solution in zip(self.samples, solutions, strict=True)
        ]
        verdicts = self._judged(checks)
        for sample, solution, verdict in zip(self.samples, solutions, verdicts, strict=True):
            if solution.strip() and not verdict.passed:
                raise TaskError(
                    f"{sample.id}: its canonical_solution does not pass its own test ({verdict}); "
                    "correct or remove the record"
                )
            if verdict.outcome is sandbox.Outcome.UNSUPPORTED:
                raise TaskError(
                    f"{sample.id}: {verdict.detail}; its completions cannot be judged, remove the "
                    "record"
                )

    def judged(self, sample: Sample, style: Style, text: str) -> Any:
        """The text, in whichever chat style it was asked for.

        Not the program in it: to find that takes longer than to look a verdict up, and a score
        says which part of the text it was.
        """
        del sample
        return [style == "completion", text]

    def score(self, answers: Sequence[tuple[Sample, Style, str]]) -> list[Score]:
        """Judge every answer's code, several at a time; an answer without code is wrong."""
        readings = [_read(sample, style, text) for sample, style, text in answers]
        checks = [
            _check(sample, reading.completion)
            for (sample, _, _), reading in zip(answers, readings, strict=True)
            if reading.completion is not None
        ]
        verdicts = iter(self._judged(checks))
        return [
            replace(
                _unreadable(reading)
                if reading.completion is None
                else _told(_score(next(verdicts)), reading),
                tool_call=calls_tool(text),
            )
            for (_, _, text), reading in zip(answers, readings, strict=True)
        ]

    def _judged(self, checks: Sequence[sandbox.Check]) -> list[sandbox.Verdict]:
        """Verdicts in order, at the isolation that was found, or else at the strongest here."""
        return sandbox.check(checks, self.isolation or sandbox.choose()) if checks else []

    def metrics(self, scores: Sequence[Score]) -> dict[str, float]:
        """pass@k for each usual k not above the number of draws, and the common rates."""
        right = sum(bool(score.correct) for score in scores)
        shown = {
            f"pass@{k}": pass_at_k(len(scores), right, k) for k in _DRAWS_SHOWN if k <= len(scores)
        }
        return {**shown, **common_rates(scores)}


def pass_at_k(draws: int, right: int, k: int) -> float:
    """Unbiased probability that at least one of `k` draws is right (Chen et al. 2021, eq. 1)."""
    return 1.0 - comb(draws - right, k) / comb(draws, k)


def _read(sample: Sample, style: Style, text: str) -> CodeReading:
    """What an answer's code is; a bare completion is code as it stands."""
    if style == "completion":
        return CodeReading(text, "")
    return read_code(text, sample.record["prompt"], sample.record["entry_point"])


def _unreadable(reading: CodeReading) -> Score:
    return Score(correct=False, parsed=False, detail=reading.why)


def _told(score: Score, reading: CodeReading) -> Score:
    """A score that also says which code of the answer was judged."""
    return replace(score, detail=f"{score.detail} [{reading.why}]") if reading.why else score


def _check(sample: Sample, completion: str) -> sandbox.Check:
    record = sample.record
    return sandbox.Check(record["prompt"], completion, record["test"], record["entry_point"])


def _score(verdict: sandbox.Verdict) -> Score:
    unjudged = verdict.outcome is sandbox.Outcome.UNSUPPORTED
    doubt: Doubt = "unjudged" if unjudged else "stalled" if verdict.stalled else ""
    settled = verdict.outcome in _SETTLED
    return Score(verdict.passed, parsed=True, detail=str(verdict), doubt=doubt, settled=settled)
