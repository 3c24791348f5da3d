"""At which dose, for the page: ED50, the no-effect dose, the window, and Hill's curve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import JsonValue

from harness.report.dose_report import DoseReport, WindowReport
from harness.report.figures.curve_panels import Arrangement
from harness.report.figures.curves import hill_of, place_of, places_of
from harness.report.labels import dose_text
from harness.report.report import RunReport
from harness.report.sweeps import SEED

#: With more curves in a panel than this, bands would only cover each other.
_MOST = 2


def mark(report: RunReport, arrangement: Arrangement, series: Sequence[dict[str, Any]]) -> None:
    """Add to each series of curves its `marks`, where few are drawn over each other.

    A mark has a metric, whose curve it belongs to, and places on the dose axis; Hill's curve the
    metric's values there, too.
    """
    places = places_of({dose for curve in arrangement.curves for dose, _ in curve.members})
    crowded = {
        panel.title
        for panel in arrangement.panels
        if sum(not curve.is_control for curve in panel.curves) > _MOST
    }
    told: list[dict[str, JsonValue]] = []
    for curve, drawn in zip(arrangement.curves, series, strict=True):
        if curve.is_control or arrangement.bundled:
            continue
        case = curve.members[0][1]
        params = {axis: own for axis, own in case.params.items() if axis != case.dose_axis}
        if drawn["panel"] not in crowded:
            drawn["marks"] = _marks(report, case.experiment, params, places)
        params = {axis: own for axis, own in params.items() if axis != SEED}
        if SEED in case.params and params not in told:  # a curve over seeds, told with the first
            told.append(params)
            marks = _marks(report, case.experiment, params, places)
            over_seeds = [each | {"seeds": True} for each in marks]
            drawn["marks"] = [*drawn.get("marks", []), *over_seeds]


def _marks(
    report: RunReport,
    experiment: str,
    params: Mapping[str, JsonValue],
    places: Mapping[float, float],
) -> list[dict[str, Any]]:
    def concerns(each: DoseReport | WindowReport) -> bool:
        return (each.experiment, each.params) == (experiment, params)

    marks: list[dict[str, Any]] = []
    shape: tuple[Sequence[float], str] = (sorted(places), "linear")
    for found in filter(concerns, report.doses):
        shape = found.doses, found.scale
        if fitted := hill_of(found, places):
            marks.append({"metric": found.metric, "hill": fitted})
        if found.loel is not None:
            at = place_of(found.noel, *shape, places)
            said = f"NOEL {dose_text(found.noel)}"
            marks.append({"metric": found.metric, "noel": at, "text": said})
        if found.ed50 is not None:
            ends = (found.ed50.low, found.ed50.value, found.ed50.high)
            low, value, high = (place_of(dose, *shape, places) for dose in ends)
            text = f"ED50 {ends[1]:.3g} [{ends[0]:.3g}, {ends[2]:.3g}]"
            marks.append(
                {"metric": found.metric, "low": low, "at": value, "high": high, "text": text}
            )
    for between in filter(concerns, report.windows):
        if between.opens and between.ed50 is not None:
            begins = between.ed50.value
            first, last = (place_of(dose, *shape, places) for dose in (begins, between.end))
            text = f"window {begins:.3g} to {between.end:.3g}"
            marks += [
                {"metric": metric, "from": first, "to": last, "text": text}
                for metric in (between.target, between.capability)
            ]
    return marks
