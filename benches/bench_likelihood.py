"""Likelihoods: how probable reference answers are, and whether wrong ones are less so."""

from __future__ import annotations

from harness.runs.planned_case import PlannedCase
from harness.store.results import CaseResult
from harness.testing import experiments


@experiments("likelihood/*.yaml")
def bench_likelihood(case: PlannedCase, outcome: CaseResult) -> None:
    assert len(outcome.sample_metrics["reference_nll"]) == case.task.size
