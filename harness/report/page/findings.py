"""Where each curve leaves its baseline: the question that a dose-response curve is drawn for.

A curve leaves the baseline at the first dose, going outward from the neutral one, whose comparison
paired by sample is significant: its p, corrected by Holm's method where the report has that, is
below `SIGNIFICANT`. Doses on both sides of the neutral one give one finding each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.report.figures.curves import Dosed, by_dose, curves
from harness.report.figures.plotted import SIGNIFICANT
from harness.report.report import CaseReport, RunReport

_NEUTRAL = "neutral_equals_baseline"


@dataclass(frozen=True)
class CurveFinding:
    """One curve, or one side of it. `leaves` is None where no dose differs from the baseline."""

    series: str
    """Label of the curve."""
    curve: str
    """The label with the side, where there are two."""
    baseline: CaseReport | None
    leaves: CaseReport | None
    nearest: CaseReport | None
    """The case with the smallest p: what to look at where no dose is significant."""
    returns: tuple[CaseReport, ...]
    """Cases beyond `leaves` that do not differ significantly."""
    compared: int
    """Cases of the curve that could be compared with their baseline."""


def findings(report: RunReport, experiment: str) -> list[CurveFinding]:
    """One finding per curve and side of the neutral dose; none in an experiment without a dose."""
    treated = by_dose(report, report.experiment(experiment))
    if not treated:
        return []
    by_id = {case.id: case for case in report.cases}
    origin = _neutral_dose(report, treated)
    found = []
    for curve, members in curves(treated).items():
        for name, side in _sides(curve, members, origin):
            baseline = next((by_id[c.baseline] for c in side if c.baseline in by_id), None)
            found.append(_finding(curve, name, baseline, side))
    return found


def is_significant(case: CaseReport) -> bool:
    """Whether a case's primary metric differs from its baseline's."""
    versus = case.versus_baseline.get(case.metric)
    return versus is not None and versus.deciding_p < SIGNIFICANT


def _finding(
    series: str, curve: str, baseline: CaseReport | None, side: Sequence[CaseReport]
) -> CurveFinding:
    compared = [case for case in side if case.metric in case.versus_baseline]
    first = next((i for i, case in enumerate(compared) if is_significant(case)), None)
    return CurveFinding(
        series=series,
        curve=curve,
        baseline=baseline,
        leaves=None if first is None else compared[first],
        nearest=min(compared, key=_closeness, default=None),
        returns=()
        if first is None
        else tuple(case for case in compared[first:] if not is_significant(case)),
        compared=len(compared),
    )


def _closeness(case: CaseReport) -> tuple[float, float]:
    """Correction makes many p 1; among these the uncorrected ones still differ."""
    versus = case.versus_baseline[case.metric]
    return versus.deciding_p, versus.p


def _neutral_dose(report: RunReport, treated: Sequence[Dosed]) -> float:
    """The dose that was held against the baseline as neutral; else 0, or the dose nearest to it."""
    checked = {each.case for each in report.invariants if each.name == _NEUTRAL}
    neutral = next((dose for dose, case in treated if case.id in checked), None)
    if neutral is not None:
        return neutral
    return min((dose for dose, _ in treated), key=abs)


def _sides(
    curve: str, members: Sequence[Dosed], origin: float
) -> list[tuple[str, list[CaseReport]]]:
    """The doses going up from the neutral one, and those going down where there are any."""
    up = [case for dose, case in members if dose >= origin]
    down = [case for dose, case in reversed(members) if dose < origin]
    if not down:
        return [(curve, up)]
    sides = [("rising", up), ("falling", down)]
    return [(", ".join(part for part in (curve, way) if part), side) for way, side in sides if side]
