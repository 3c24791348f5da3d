"""A report as the page's scripts read it: experiments with their cases, curves, places and grids.

Everything that needs a decision is decided here, so that the scripts only draw: labels, the order
of cases, which of them make a curve, where a dose stands on its axis.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from pydantic import JsonValue

from harness.interventions.counted import shares_in
from harness.report.figures.curve_panels import DrawnCurve, arranged
from harness.report.figures.curves import (
    are_even,
    break_of,
    by_dose,
    constants,
    places_of,
    shown_metrics,
)
from harness.report.figures.plotted import SIGNIFICANT, dose_axis_of, labels
from harness.report.labels import by_series, dose_name, varying, worded
from harness.report.page.dose_marks import mark
from harness.report.page.findings import findings
from harness.report.page.grids import grids
from harness.report.report import CaseReport, RunReport
from harness.spec.doses import written

#: Significant digits of numbers on the page, which shows at most four.
_DIGITS = 6
#: Of the smallest decimal that the page shows, 0.001, there are so many halves in 1.
_HALVES = 2000


def view(report: RunReport) -> dict[str, Any]:
    """The document that the scripts read, as JSON values."""
    positions = {case.id: position for position, case in enumerate(report.cases)}
    return {
        "run": report.run.id,
        "significant": SIGNIFICANT,
        "experiments": [_experiment(report, name, positions) for name in report.experiments],
    }


def _experiment(report: RunReport, name: str, positions: Mapping[str, int]) -> dict[str, Any]:
    cases = report.experiment(name)
    treated = by_dose(report, cases)
    dose_axis = dose_axis_of(cases)
    axes = varying(cases, always=dose_axis)
    places = places_of({dose for dose, _ in treated})
    baselines, named = report.baselines, labels(report, name)
    rows = []
    for case in by_series(cases):
        row = _case(case, axes) | {
            "position": positions[case.id],
            "label": named[case.id],
            "baseline": positions.get(case.baseline or ""),
            "isBaseline": case.id in baselines,
        }
        rows.append({key: value for key, value in row.items() if value not in ({}, [], None)})
    return {
        "name": name,
        "metric": cases[0].metric,
        "metrics": _measured(cases),
        "shown": shown_metrics(cases),
        "asked": cases[0].asked_metrics,
        "counted": [asdict(share) for share in shares_in([case.counts for case in cases])],
        "good": {name: cases[0].kind(name).good for name in _measured(cases)},
        "constant": _plain(constants(cases)),
        "doseAxis": None if dose_axis is None else dose_name(cases, whole=True),
        "axes": [{"key": key, "name": axis} for key, axis in axes.items()],
        "places": [[written(dose), place] for dose, place in places.items()],
        "even": are_even(places),
        "broken": break_of(places),
        "cases": rows,
        **_series(report, cases, positions),
        "leaves": [positions[found.leaves.id] for found in findings(report, name) if found.leaves],
        "grids": [_plain(asdict(grid)) for grid in grids(report, name)],
        # Of the cases that intervene, where there are any: baselines lack that section.
        "settings": _plain(
            _shared([c.settings for c in cases if c.id not in baselines] or [cases[0].settings])
        ),
    }


def _measured(cases: Sequence[CaseReport]) -> list[str]:
    return list(dict.fromkeys(metric for case in cases for metric in case.metrics))


def _case(case: CaseReport, axes: Mapping[str, str]) -> dict[str, Any]:
    shown = {"id", "nodeid", "dose", "status", "metrics", "versus_baseline", "agreement"}
    shown |= {"counts", "tokens", "seconds", "warnings", "error"}
    row: dict[str, Any] = _plain(case.model_dump(mode="json", include=shown))
    # Whole, because it is looked up among the places of the axis.
    row["dose"] = written(case.dose)
    row["params"] = {axis: worded(axis, case.params[axis]) for axis in axes if axis in case.params}
    return row


def _series(
    report: RunReport, cases: Sequence[CaseReport], positions: Mapping[str, int]
) -> dict[str, Any]:
    """What is read side by side: the cases of a curve, or those that share a baseline."""
    treated = by_dose(report, cases)
    if treated:
        arrangement = arranged(treated)
        series = [
            _one(curve.label, [case for _, case in curve.members], positions)
            | _drawn(curve, panel.title)
            for panel in arrangement.panels
            for curve in panel.curves
        ]
        mark(report, arrangement, series)
        return {
            "series": series,
            "bundled": arrangement.bundled,
            "ordered": arrangement.order != "",
        }
    found: dict[str, list[CaseReport]] = {}
    baselines, named = report.baselines, labels(report, cases[0].experiment)
    for case in cases:
        if case.id not in baselines:
            found.setdefault(named.get(case.baseline or "", "all cases"), []).append(case)
    return {"series": [_one(name, members, positions) for name, members in found.items()]}


def _one(name: str, members: Sequence[CaseReport], positions: Mapping[str, int]) -> dict[str, Any]:
    baselines = {
        positions[case.baseline] for case in members if case.baseline and case.baseline in positions
    }
    return {
        "label": name,
        "cases": [positions[case.id] for case in members],
        "baselines": sorted(baselines),
    }


def _drawn(curve: DrawnCurve, panel: str) -> dict[str, Any]:
    """How the curve is drawn, as the plots draw it."""
    return {
        "name": curve.name,
        "panel": panel,
        "hue": f"light-dark({curve.hue.light}, {curve.hue.dark})",
        "marker": curve.marker,
        "control": curve.is_control,
    }


def _shared(documents: Sequence[Mapping[str, JsonValue]]) -> dict[str, Any]:
    """What all documents say alike, nested sections included."""
    first, *others = documents
    shared: dict[str, Any] = {}
    for key, value in first.items():
        theirs = [other.get(key) for other in others]
        if isinstance(value, dict) and all(isinstance(each, dict) for each in theirs):
            shared[key] = _shared([value, *(each for each in theirs if isinstance(each, dict))])
        elif all(each == value for each in theirs):
            shared[key] = value
    return {key: value for key, value in shared.items() if value != {}}


def _plain(value: Any) -> Any:
    """JSON values with numbers rounded to what a page can show."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float):
        rounded = float(f"{value:.{_DIGITS}g}")
        # What became a half of the last digit shown would be rounded once more, and away from it.
        return value if (rounded * _HALVES).is_integer() else rounded
    return value
