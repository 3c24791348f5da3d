"""Steering: how accuracy responds to a vector added to the hidden states, and to its control."""

from __future__ import annotations

from harness.runs.planned_case import PlannedCase
from harness.store.results import CaseResult
from harness.testing import experiments


@experiments("steering/*.yaml")
def bench_steering(case: PlannedCase, outcome: CaseResult) -> None:
    assert outcome.scored == outcome.task_size <= case.task.size
