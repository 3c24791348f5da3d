"""Below the table of a run that stopped itself: what it saved, and what power it paid."""

from __future__ import annotations

from harness.report.report import RunReport
from harness.report.rounding import ceiling, percent


def saved(report: RunReport, experiment: str) -> list[str]:
    """A line for an experiment that stopped itself; none for others."""
    lines = []
    for each in report.stopping:
        if each.experiment != experiment:
            continue
        line = (
            f"stopped itself ({'; '.join(each.decide)}): {each.samples:,} of {each.of:,} samples, "
            f"{percent(each.share)} % of the tokens that all would take"
        )
        if each.effect is not None and each.power is not None:
            line += (
                f"; a difference of {ceiling(each.effect)}, which all at once find with a power of "
                f"80 %, is found on the way with {percent(each.power)} %"
            )
        lines.append(line)
    return lines
