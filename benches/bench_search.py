"""Searches: the best dose and layer by trials, and what unseen samples say of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.testing import searches

if TYPE_CHECKING:
    from harness.search.conclusion import Searched


@searches("steering/*search.yaml")
def bench_search(searched: Searched) -> None:
    counts = searched.trials
    assert counts["complete"] > 0
    assert counts["fail"] == 0
    if searched.finished is not None:  # this worker has scored the test samples
        held = {check.name for check in searched.finished.invariants if check.holds}
        assert {"splits_are_disjoint", "best_trial_is_the_best", "best_value_is_reproduced"} <= held
        assert all(case.status == "complete" for case in searched.finished.report.cases)
