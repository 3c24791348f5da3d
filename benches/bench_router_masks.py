"""Router masks: how a mixture-of-experts model's accuracy responds to masked routers."""

from __future__ import annotations

from harness.runs.planned_case import PlannedCase
from harness.store.results import CaseResult
from harness.testing import experiments


@experiments("router_masks/*.yaml")
def bench_router_masks(case: PlannedCase, outcome: CaseResult) -> None:
    assert outcome.scored == outcome.task_size <= case.task.size
