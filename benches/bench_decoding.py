"""Decoding: how accuracy responds to a sampling rule, whose baseline is the plain sampler."""

from __future__ import annotations

from harness.runs.plan import PlannedCase
from harness.store.results import CaseResult
from harness.testing import experiments


@experiments("decoding/*.yaml")
def bench_decoding(case: PlannedCase, outcome: CaseResult) -> None:
    assert outcome.scored == case.task.size
