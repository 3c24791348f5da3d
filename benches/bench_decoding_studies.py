"""Decoding on models of real size: their cases skip, by name, where no accelerator can run them."""

from __future__ import annotations

from harness.runs.planned_case import PlannedCase
from harness.store.results import CaseResult
from harness.testing import experiments


@experiments("decoding/qwen/*.yaml")
def bench_decoding_studies(case: PlannedCase, outcome: CaseResult) -> None:
    assert outcome.status == "complete"
    assert outcome.task_size == case.task.size
