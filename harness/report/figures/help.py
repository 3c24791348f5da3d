"""Accuracy against the oracle's share and cost, a line for each trigger; two doses as a map.

Between the two models alone lies what a coin would do: answering each question by one of them, at
random, has the accuracies on the straight line between their points.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pydantic import JsonValue

from harness.report.figures.figure import GREY, RULE, canvas, panels, surround
from harness.report.figures.palette import styles
from harness.report.help_report import Estimated, HelpReport
from harness.report.labels import curve_name, short_names, text
from harness.report.report import CaseReport, RunReport
from harness.spec.doses import number_of

#: Inches of a panel.
_PANEL = 2.9


def help_figure(report: RunReport, experiment: str) -> Figure | None:
    """Both panels, or the first where no cost is known; None of an experiment without help."""
    found = [each for each in report.help if each.experiment == experiment]
    if not found:
        return None
    priced = all(point.cost for each in found for point in each.points)
    figure, axes = panels(1.2 + _PANEL * (1 + priced), 1 + priced, shared=False)
    curves = [each.params for each in found]
    names = [curve_name(each.trigger, each.params, curves) for each in found]
    for panel, what in zip(axes, ("share", "cost"), strict=False):
        for name, each, (hue, marker) in zip(names, found, styles(), strict=False):
            _curve(panel, each, what, hue.light, marker, name)
        panel.set_ylabel(found[0].metric)
        panel.grid(axis="y", color=RULE, linewidth=0.8)
    axes[0].set_xlabel("share of the tokens that the oracle wrote")
    if priced:
        axes[1].set_xlabel("cost: tokens x weights per token, beside the model alone")
    surround(
        figure,
        axes[0],
        title=f"{experiment}: what help comes to",
        subtitle=f"model alone {found[0].weak:.2f}, oracle alone {found[0].strong:.2f}, "
        f"n = {found[0].samples}",
        caption="Bars: 95 % intervals over samples. Dashed: questions given to one model or the "
        "other at random.",
        entries=names,
    )
    return figure


def _curve(axes: Axes, each: HelpReport, what: str, colour: str, marker: str, name: str) -> None:
    points = sorted(
        ((getattr(point, what), point.accuracy) for point in each.points),
        key=lambda point: point[0].value or 0.0,
    )
    ends = (0.0, 1.0) if what == "share" else (1.0, each.strong_cost or 1.0)
    axes.plot(ends, (each.weak, each.strong), color=GREY, linewidth=1, linestyle="--")
    places = [place.value for place, _ in points]
    axes.errorbar(
        places,
        [accuracy for _, accuracy in points],
        xerr=np.array([_reach(place) for place, _ in points]).T,
        color=colour,
        marker=marker,
        markersize=4,
        linewidth=1.3,
        elinewidth=0.8,
        label=name,
    )


def _reach(place: Estimated) -> tuple[float, float]:
    """How far an interval reaches below and above its number."""
    value = place.value or 0.0
    low = value if place.low is None else place.low
    high = value if place.high is None else place.high
    return max(value - low, 0.0), max(high - value, 0.0)


def help_heatmaps(report: RunReport, experiment: str) -> Iterator[tuple[str, Figure]]:
    """Accuracy over two numbers that say how much help there is, the dose and another one, for each
    trigger that both were swept under.
    """
    cases = {case.id: case for case in report.experiment(experiment)}
    for trigger in dict.fromkeys(each.trigger for each in report.help):
        shown = [
            (cases[point.case], point.accuracy)
            for each in report.help
            if each.trigger == trigger and each.experiment == experiment
            for point in each.points
        ]
        axes = _amounts([case for case, _ in shown])
        if len(axes) > 1:
            yield trigger, _heatmap(shown, axes[0], axes[1], f"{experiment}: {trigger}")


def _amounts(cases: Sequence[CaseReport]) -> list[str]:
    """The axes of numbers in which guidances differ, the dose's first."""
    axes = dict.fromkeys(
        axis for case in cases for axis in case.params if axis.startswith("intervention.")
    )
    amounts = [
        axis
        for axis in axes
        if all(number_of(case.params.get(axis)) is not None for case in cases)
        and len(_values(cases, axis)) > 1
    ]
    return sorted(amounts, key=lambda axis: axis != cases[0].dose_axis)


def _values(cases: Sequence[CaseReport], axis: str) -> list[JsonValue]:
    """The values of an axis, rising."""
    found = {text(case.params[axis]): case.params[axis] for case in cases if axis in case.params}
    return sorted(found.values(), key=lambda value: number_of(value) or 0.0)


def _heatmap(shown: Sequence[tuple[CaseReport, float]], across: str, up: str, title: str) -> Figure:
    cases = [case for case, _ in shown]
    columns, rows = _values(cases, across), _values(cases, up)
    names = short_names((across, up))
    cells = np.full((len(rows), len(columns)), np.nan)
    for case, accuracy in shown:
        cells[rows.index(case.params[up]), columns.index(case.params[across])] = accuracy
    figure, axes = canvas(1.5 + 0.45 * len(rows))
    axes.imshow(cells, cmap="viridis", aspect="auto", vmin=0, vmax=1, origin="lower")
    for (row, column), value in np.ndenumerate(cells):
        if np.isfinite(value):
            colour = "black" if value > 0.6 else "white"
            axes.text(column, row, f"{value:.2f}", ha="center", va="center", color=colour, size=8.5)
    axes.set_xticks(range(len(columns)), [text(each) for each in columns])
    axes.set_yticks(range(len(rows)), [text(each) for each in rows])
    axes.set_xlabel(names[across])
    axes.set_ylabel(names[up])
    surround(
        figure,
        axes,
        title=title,
        subtitle=f"{shown[0][0].metric} over {names[across]} and {names[up]}",
        caption="Of several cases of a cell the last one is shown.",
        entries=[],
    )
    return figure
