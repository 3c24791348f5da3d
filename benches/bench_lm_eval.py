"""Tasks of lm-evaluation-harness under interventions: by log-likelihood, and in words."""

from __future__ import annotations

from harness.runs.planned_case import PlannedCase
from harness.store.results import CaseResult
from harness.testing import experiments


@experiments("lm_eval/*.yaml")
def bench_lm_eval(case: PlannedCase, outcome: CaseResult) -> None:
    counted = outcome.sample_metrics[outcome.metric]
    assert len(counted) == case.task.size
