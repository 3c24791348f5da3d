"""What a bench file needs: `experiments`, which turns spec files into the cases of a function,
and `invariants`, which does so with the identities that every intervention owes.

    from harness.testing import experiments

    @experiments("router_masks/*.yaml")
    def bench_router_masks(case, outcome):
        assert outcome.scored == outcome.task_size <= case.task.size

`case` is a `harness.runs.planned_case.PlannedCase`; asking for `outcome` runs what the case needs
and gives its `harness.store.results.CaseResult`.
"""

from __future__ import annotations

import pytest

MARKER = "titrate_experiments"
INVARIANTS_MARKER = "titrate_invariants"
SEARCHES_MARKER = "titrate_searches"


def experiments(*patterns: str) -> pytest.MarkDecorator:
    """Parametrise a bench by the cases of all spec files that match glob patterns.

    Patterns are relative to the folder of specs (`specs` beside the pytest configuration, or the
    ini option `titrate_specs`). A pattern without a match is an error.
    """
    return pytest.mark.titrate_experiments(patterns)


def searches(*patterns: str) -> pytest.MarkDecorator:
    """Parametrise a bench by the searches of all spec files that match glob patterns.

        @searches("steering/*search.yaml")
        def bench_search(searched):
            assert searched.best.value is not None

    `searched` runs the search and gives a `harness.search.conclusion.Searched`. Specs without a
    section `search` are passed over, as `experiments` passes over those with one.
    """
    return pytest.mark.titrate_searches(patterns)


invariants = pytest.mark.titrate_invariants
"""Parametrise a bench by every identity on every model and engine, or on `--titrate-model`.

    @invariants
    def bench_invariants(check, finding):
        assert finding.holds

    @invariants("zoo/smollm2")              # on this model; skipped where its package is missing
    def bench_real_invariants(check, finding):
        assert finding.holds

`check` is a `harness.invariants.IdentityCheck`; asking for `finding` makes it and gives a
`harness.store.results.InvariantResult`, which goes into the run's report.
"""
