"""What a bench file needs: `experiments`, which turns spec files into the cases of a function.

    from harness.testing import experiments

    @experiments("router_masks/*.yaml")
    def bench_router_masks(case, outcome):
        assert outcome.scored == case.task.size

`case` is a `harness.runs.plan.PlannedCase`; asking for `outcome` runs what the case needs and gives
its `harness.runs.results.CaseResult`.
"""

from __future__ import annotations

import pytest

MARKER = "titrate_experiments"


def experiments(*patterns: str) -> pytest.MarkDecorator:
    """Parametrise a bench by the cases of all spec files that match glob patterns.

    Patterns are relative to the folder of specs (`specs` beside the pytest configuration, or the
    ini option `titrate_specs`). A pattern without a match is an error.
    """
    return pytest.mark.titrate_experiments(patterns)
