"""The paired-prompt study: the same answer behind an agentic and an assisted prompt."""

from __future__ import annotations

from harness.runs.planned_case import PlannedCase
from harness.store.results import CaseResult
from harness.testing import experiments


@experiments("pairs/*_forward.yaml")
def bench_pairs_forward(case: PlannedCase, outcome: CaseResult) -> None:
    assert len(outcome.sample_metrics["delta_nll"]) == case.task.size
    assert min(outcome.sample_metrics["js"].values()) >= 0


@experiments("pairs/*_masked*.yaml")
def bench_pairs_masked(case: PlannedCase, outcome: CaseResult) -> None:
    assert outcome.scored == case.task.size
