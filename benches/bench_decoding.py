"""Decoding: how accuracy responds to sampling rules, by votes, ranks and confidence.

`make tournament` compares rules at equal tokens; its specs are no part of this.
"""

from __future__ import annotations

from harness.runs.planned_case import PlannedCase
from harness.store.results import CaseResult
from harness.testing import experiments


@experiments("decoding/[!t]*.yaml")
def bench_decoding(case: PlannedCase, outcome: CaseResult) -> None:
    assert outcome.status == "complete"
    assert outcome.task_size == case.task.size
