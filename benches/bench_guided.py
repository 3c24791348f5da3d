"""Guided inference: what asking an oracle is worth, trigger by trigger."""

from __future__ import annotations

from statistics import fmean

from harness.runs.planned_case import PlannedCase
from harness.store.results import CaseResult
from harness.testing import experiments


@experiments("guided/guided_*.yaml")
def bench_guided(case: PlannedCase, outcome: CaseResult) -> None:
    assert outcome.scored == outcome.task_size <= case.task.size
    said = outcome.sample_metrics.get("oracle_share", {}).values()
    if not said or outcome.task_size < 64:
        return
    # From .44 to .95 of zoo/base and zoo/oracle: accuracy climbs with the oracle's share.
    share = sum(asked for asked, _ in said) / sum(tokens for _, tokens in said)
    accuracy = fmean(outcome.sample_metrics["exact_match"].values())
    assert share > 0.01 or accuracy <= 0.55
    assert share < 0.8 or accuracy >= 0.85
