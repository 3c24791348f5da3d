"""Dose-response curves as a figure: the metrics that are shown over the dose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure

from harness.report.figures.curve_panels import Arrangement, DrawnCurve, Panel, arranged
from harness.report.figures.curves import (
    are_even,
    break_of,
    by_dose,
    places_of,
    shown_metrics,
)
from harness.report.figures.dose_marks import mark_doses
from harness.report.figures.figure import (
    GREY,
    HEIGHT,
    INK,
    RULE,
    beside,
    panels,
    surround,
    untangle,
)
from harness.report.figures.palette import MARKERS, faded
from harness.report.figures.plotted import PlottedPoint, are_rates, caption, complete, subtitle
from harness.report.labels import dose_name, dose_text, text
from harness.report.report import CaseReport, RunReport

#: Of baselines, and of controls.
_DASHED, _DOTTED = (0, (5, 3)), (0, (1.2, 1.6))
#: With more lines than this, shaded bands would only cover each other.
_MOST_BANDS = 4
#: Inches that each further panel adds below the first.
_PANEL = 2.4
#: Where an axis is broken: two strokes, and nothing of the axis beneath them.
_BREAK: Any = {
    "ha": "center",
    "va": "center",
    "size": 9,
    "color": GREY,
    "bbox": {"facecolor": "white", "edgecolor": "none", "pad": 1},
}
#: Values that are written beside a bundle's scale of colours.
_MOST_TICKS = 9


def dose_response(report: RunReport, experiment: str) -> Figure:
    """The metrics that are shown over the dose, one line per combination of the other axes.

    `curve_panels` says which hue and panel each line has. Each has its baseline as a dashed line of
    its hue; a baseline that all lines of a panel share is grey. Doses that would crowd on a linear
    axis are spaced evenly.
    """
    cases = complete(report, experiment)
    by_id = {case.id: case for case in cases}
    treated = by_dose(report, cases)
    places = places_of({dose for dose, _ in treated})
    # Of all cases, so that a curve has the hue that it has on the page.
    arrangement = arranged(by_dose(report, report.experiment(experiment)))
    drawn = {case.id for case in cases}
    shown = [
        panel
        for panel in arrangement.panels
        if any(case.id in drawn for curve in panel.curves for _, case in curve.members)
    ]
    rows = [(panel, name) for panel in shown for name in shown_metrics(cases)]
    fitted = False
    figure, stacked = panels(HEIGHT + _PANEL * (len(rows) - 1), len(rows))
    for axes, (panel, name) in zip(stacked, rows, strict=True):
        axes.set_ylabel(name)
        axes.grid(axis="y", color=RULE, linewidth=0.8)
        if are_rates([case for case in cases if name in case.metrics], name):
            axes.set_ylim(-0.03, 1.03)
        if arrangement.bundled:
            _bundle(axes, panel, places, name)
        else:
            _draw(axes, panel, by_id, places, name)
            fitted |= mark_doses(axes, report, panel, places, name)
    _dose_axis(stacked[-1], places, dose_name(cases, whole=True))
    count = len(arrangement.curves)
    if len(shown) > 1:
        _head_panels(stacked, [panel for panel, _ in rows])
    if arrangement.bundled and arrangement.order:
        _scale_of_colours(figure, stacked, arrangement)
    surround(
        figure,
        stacked[0],
        title=experiment,
        subtitle=subtitle(report, experiment),
        caption=f"{count} curves; the page has each with its baseline and intervals."
        if arrangement.bundled
        else caption(
            report,
            experiment,
            baseline="Dashed",
            control="Dotted",
            fitted="Dots and dashes" if fitted else "",
            several=(
                ""
                if all(len(panel.curves) == 1 for panel in shown)
                else "Curves stand side by side at each dose."
                if are_even(places)
                else "Of markers over each other the first curve's is the largest."
            ),
        ),
        entries=stacked[0].get_legend_handles_labels()[1] if len(shown) == 1 and count > 1 else [],
    )
    untangle(figure, stacked[-1])
    return figure


def _draw(
    axes: Axes,
    panel: Panel,
    by_id: Mapping[str, CaseReport],
    places: Mapping[float, float],
    metric: str,
) -> None:
    """The curves of a panel and their baselines.

    Where doses are spaced evenly each stands beside the others by a little. On a numeric axis that
    would be another dose: there markers lie over each other, and those below are larger.
    """
    count, bands = len(panel.curves), len(panel.curves) <= _MOST_BANDS
    compared = {case.baseline for curve in panel.curves for _, case in curve.members}
    shared = count > 1 and len(compared) == 1
    drawn = set()
    for index, curve in enumerate(panel.curves):
        shift = (index - (count - 1) / 2) * min(0.07, 0.4 / count) * _gap(places) * are_even(places)
        members = [(dose, case) for dose, case in curve.members if metric in case.metrics]
        if not members:
            continue
        points = [PlottedPoint(places[dose] + shift, case, metric) for dose, case in members]
        below = 0.0 if are_even(places) else (count - 1 - index) / max(count - 1, 1)
        _curve(axes, points, curve, band=bands, larger=below)
        found = [(dose, by_id.get(case.baseline or "")) for dose, case in members]
        baselines = [
            PlottedPoint(places[dose], baseline, metric)
            for dose, baseline in found
            if baseline is not None and metric in baseline.metrics
        ]
        line = tuple((point.at, point.case.id) for point in baselines)
        if line not in drawn:
            colour = GREY if shared else curve.hue.light
            _baseline(axes, baselines, colour, band=bands or shared)
        drawn.add(line)


def _bundle(axes: Axes, panel: Panel, places: Mapping[float, float], metric: str) -> None:
    """Many curves as one bundle of thin lines."""
    lines = [
        [
            (places[dose], case.metrics[metric].value)
            for dose, case in curve.members
            if metric in case.metrics
        ]
        for curve in panel.curves
    ]
    styles = [_DOTTED if curve.is_control else "-" for curve in panel.curves]
    colours = [curve.hue.light for curve in panel.curves]
    several = len(set(colours)) > 1
    axes.add_collection(
        LineCollection(
            lines, colors=colours, linestyles=styles, linewidths=0.7, alpha=0.7 if several else 0.35
        )
    )
    axes.autoscale_view()


def _dose_axis(axes: Axes, places: Mapping[float, float], name: str) -> None:
    margin = max(0.04 * (max(places.values()) - min(places.values())), 0.4 * _gap(places))
    axes.set_xlim(min(places.values()) - margin, max(places.values()) + margin)
    axes.set_xticks(list(places.values()), [dose_text(dose) for dose in places])
    broken = break_of(places)
    if broken is not None:
        axes.text(broken, 0, "//", transform=axes.get_xaxis_transform(), **_BREAK)
    axes.set_xlabel(f"{name} (spaced evenly, not to scale)" if are_even(places) else name)


def _head_panels(stacked: Sequence[Axes], rows: Sequence[Panel]) -> None:
    """Say above the first axes of each panel what it shows, and beside it which curves."""
    last = None
    for axes, panel in zip(stacked, rows, strict=True):
        if panel is not last:
            axes.set_title(panel.title, size=9, color=INK, loc="left")
            beside(axes)
        last = panel


def _scale_of_colours(figure: Figure, stacked: Sequence[Axes], arrangement: Arrangement) -> None:
    """The values of the ordered axis beside a bundle, each with its hue."""
    hues = {
        text(curve.members[0][1].params[arrangement.order]): curve.hue.light
        for curve in arrangement.curves
    }
    values = sorted(hues, key=float)
    scale = ScalarMappable(
        Normalize(-0.5, len(values) - 0.5), ListedColormap([hues[value] for value in values])
    )
    chosen = np.unique(np.linspace(0, len(values) - 1, min(len(values), _MOST_TICKS)).round())
    bar = figure.colorbar(scale, ax=list(stacked), ticks=list(chosen), pad=0.02, aspect=40)
    bar.ax.set_yticklabels([values[int(at)] for at in chosen])
    bar.ax.tick_params(labelsize=8, colors=INK, length=0)
    bar.set_label(arrangement.order, size=9, color=INK)


def _gap(places: Mapping[float, float]) -> float:
    return min((b - a for a, b in pairwise(places.values())), default=1.0)


def _curve(
    axes: Axes, points: Sequence[PlottedPoint], curve: DrawnCurve, *, band: bool, larger: float
) -> None:
    """One line with its intervals; filled markers are significant.

    `larger`, from 0 to 1, is for markers that others may lie upon.
    """
    at, values = [point.at for point in points], [point.metric.value for point in points]
    colour = faded(curve.hue.light) if curve.is_control else curve.hue.light
    marker, line = MARKERS[curve.marker], _DOTTED if curve.is_control else "-"
    axes.plot(at, values, color=colour, linewidth=1.6, linestyle=line, zorder=3)
    # Seen in the legend alone: the line with its marker, whatever its points' significance.
    axes.plot(
        [],
        [],
        color=colour,
        linewidth=1.6,
        linestyle=line,
        marker=marker,
        markersize=5,
        label=curve.name,
    )
    if band:
        lows, highs = [point.low for point in points], [point.high for point in points]
        axes.fill_between(at, lows, highs, color=colour, alpha=0.12, linewidth=0, zorder=1)
    for point in points:
        axes.errorbar(
            [point.at],
            [point.metric.value],
            yerr=point.errors,
            fmt=marker,
            color=colour,
            markerfacecolor=colour if point.significant else "white",
            markeredgewidth=1.3,
            markersize=5.5 + 4 * larger,
            elinewidth=1.1 + 1.6 * larger,
            capsize=2.5 + 2 * larger,
            zorder=4,
        )


def _baseline(axes: Axes, points: Sequence[PlottedPoint], colour: str, *, band: bool) -> None:
    """A dashed line with a faint band: across the axes, or along the doses if it changes."""
    if not points:
        return
    alpha = 0.06 if band else 0.0
    if len({point.case.id for point in points}) == 1:
        only = points[0]
        # Not axhline, which scales the axes anew at each call: quadratic in the number of curves.
        across, value = axes.get_yaxis_transform(), only.metric.value
        axes.plot(
            [0, 1],
            [value, value],
            transform=across,
            color=colour,
            linestyle=_DASHED,
            linewidth=1.1,
            zorder=2,
        )
        axes.axhspan(only.low, only.high, color=colour, alpha=alpha, linewidth=0, zorder=0)
        return
    at = [point.at for point in points]
    values = [point.metric.value for point in points]
    axes.plot(at, values, color=colour, linestyle=_DASHED, linewidth=1.1, zorder=2)
    lows, highs = [point.low for point in points], [point.high for point in points]
    axes.fill_between(at, lows, highs, color=colour, alpha=alpha, linewidth=0, zorder=0)
