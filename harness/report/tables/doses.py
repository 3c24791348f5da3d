"""Below an experiment's table: at which dose half of an effect is there, and which is safe."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pydantic import JsonValue

from harness.report.labels import label, short_names
from harness.report.report import DoseReport, RunReport
from harness.report.tables.columns import Column


def dose_columns(report: RunReport, experiment: str) -> list[Column]:
    """A row for each curve of an experiment; no column where nothing is said of any."""
    found = [each for each in report.doses if each.experiment == experiment]
    if not found:
        return []
    axes = (case.dose_axis for case in report.experiment(experiment))
    axis = next(filter(None, axes), "dose").rpartition(".")[2]
    metrics = dict.fromkeys(each.metric for each in found)
    names = tuple(_names(found, metrics))
    columns = [
        Column(f"{', '.join(metrics)} by {axis}", names, is_name=True),
        Column(
            "ED50",
            tuple(map(_ed50, found)),
            f"the {axis} at which half of the change is there, with its 95 % interval",
        ),
        Column(
            "NOEL",
            tuple(f"{each.noel:g}" for each in found),
            "the last one below LOEL",
            rank=3,
        ),
        Column(
            "LOEL",
            tuple("-" if each.loel is None else f"{each.loel:g}" for each in found),
            "from which on all differ from the first (Holm)",
            rank=4,
        ),
    ]
    if any(each.benchmark for each in found):
        columns += [
            Column(
                "BMDL",
                tuple(_benchmark(each, lower=True) for each in found),
                "below which a change for the worse by 0.05 is excluded at 95 %",
                rank=5,
            ),
            Column(
                "BMD", tuple(_benchmark(each, lower=False) for each in found), "where it is", rank=1
            ),
        ]
    if any(each.slope for each in found):
        columns.append(
            Column(
                "slope",
                tuple(map(_slope, found)),
                "of Hill's curve, if not rejected",
                rank=2,
            )
        )
    return columns


def reasons(report: RunReport, experiment: str) -> str:
    """Why curves have no ED50, each reason once; empty where all have one."""
    found = [each for each in report.doses if each.experiment == experiment]
    told: dict[str, list[str]] = {}
    metrics = dict.fromkeys(each.metric for each in found)
    for each, name in zip(found, _names(found, metrics), strict=True):
        if each.no_ed50 is not None:
            told.setdefault(each.no_ed50, []).append(name)
    return "; ".join(f"no ED50 of {', '.join(names)}: {why}" for why, names in told.items())


def _names(found: Sequence[DoseReport], metrics: dict[str, None]) -> Iterator[str]:
    """Each curve by the axes in which they differ, and its metric where that differs, too."""
    values: dict[str, list[JsonValue]] = {}
    for each in found:
        for axis, value in each.params.items():
            values.setdefault(axis, []).append(value)
    varying = [axis for axis, seen in values.items() if any(value != seen[0] for value in seen)]
    for each in found:
        named = label(each.params, short_names(varying))
        own = [each.metric] if len(metrics) > 1 else []
        yield ", ".join([*own, *([named] if named else [])]) or "all"


def _ed50(each: DoseReport) -> str:
    if each.ed50 is None:
        return "-"
    return f"{each.ed50.value:.3g} [{each.ed50.low:.3g}, {each.ed50.high:.3g}]"


def _benchmark(each: DoseReport, *, lower: bool) -> str:
    if each.benchmark is None:
        return "-"
    dose = each.benchmark.lower if lower else each.benchmark.dose
    return f"> {each.doses[-1]:g}" if dose is None else f"{dose:.3g}"


def _slope(each: DoseReport) -> str:
    if each.slope is None:
        return "-"
    return f"{each.slope.value:.2g} [{each.slope.low:.2g}, {each.slope.high:.2g}]"
