"""Guided inference: what asking an oracle is worth, trigger by trigger."""

from __future__ import annotations

from harness.runs.planned_case import PlannedCase
from harness.store.results import CaseResult
from harness.testing import experiments


@experiments("guided/guided_*.yaml")
def bench_guided(case: PlannedCase, outcome: CaseResult) -> None:
    assert outcome.scored == outcome.task_size <= case.task.size
