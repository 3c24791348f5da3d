"""Model diffing: what fine-tuning left in a model is seen, less of it the more it was diluted."""

from __future__ import annotations

from pathlib import Path

import harness
from harness.runs.planned_case import PlannedCase
from harness.store.results import CaseResult
from harness.testing import experiments

MIXED = Path(__file__).parent.parent / "specs/diffing/mix_ratio.yaml"
CONTROL = "control-1"


@experiments("diffing/mix_ratio.yaml")
def bench_diffing(case: PlannedCase, outcome: CaseResult) -> None:
    assert outcome.status == "complete", case.id


def bench_dilution_is_seen(tmp_path: Path) -> None:
    """Relevance falls with the mix ratio; at 1:0 and 1:0.5 it is apart from control and chance.

    The limit of detection, which the table has, is a share of documents that was measured.
    """
    # With scipy, which collecting benches does without.
    from harness.report.detection import with_limits
    from harness.report.sweeps import sweeps

    report = harness.run(MIXED, directory=tmp_path).report
    lines = [
        line
        for line in sweeps(report.cases, "weighted_relevance", "chance")
        if line.axis == "variant"
    ]
    lines = with_limits(lines, report.cases, "weighted_relevance")
    assert len(lines) == 2
    for line in lines:
        assert line.limit is not None
        assert line.limit.value is not None
        assert line.limit.value < 1
        assert "limit of detection" in (tmp_path / "index.html").read_text()
        points = {point.label: point for point in line.points}
        control = points[CONTROL]
        for name in ("default", "mix1-0p5"):
            assert points[name].low > max(control.high, control.chance)
    mixed = [case for case in report.cases if case.params.get("intervention.variant") != CONTROL]
    for line in sweeps(mixed, "weighted_relevance"):
        assert line.axis != "variant" or line.trend.rho < 0
