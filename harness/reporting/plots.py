"""Dose-response plots: one figure per experiment, drawn from its report alone."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, pairwise

from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from harness.reporting.curves import Dosed, by_dose, curves, places_of, shown_metrics
from harness.reporting.figure import GREY, HEIGHT, RULE, canvas, panels, surround, untangle
from harness.reporting.labels import label, varying
from harness.reporting.report import CaseReport, Report
from harness.reporting.statistics import Metric

SIGNIFICANT = 0.05
#: Okabe and Ito's colour-blind-safe palette (jfly.uni-koeln.de/color) without its yellow.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
#: One more than the colours, so that a colour comes back with another marker.
MARKERS = "osD^vP<X"
_DASHED = (0, (5, 3))
#: With more lines than this, shaded bands would only cover each other.
_MOST_BANDS = 4
#: More lines than this are thin and without intervals: a legend would be longer than the plot.
_MOST_CURVES = 40
#: Inches that each further metric adds below the first.
_PANEL = 2.4


@dataclass(frozen=True)
class _Point:
    """A complete case, one of its metrics, and the place on the dose axis where it is drawn."""

    at: float
    case: CaseReport
    name: str

    @property
    def metric(self) -> Metric:
        return self.case.metrics[self.name]

    @property
    def low(self) -> float:
        """Lower end of the interval; the value itself where there is none."""
        return self.metric.value if self.metric.ci_low is None else self.metric.ci_low

    @property
    def high(self) -> float:
        """Upper end of the interval; the value itself where there is none."""
        return self.metric.value if self.metric.ci_high is None else self.metric.ci_high

    @property
    def errors(self) -> tuple[list[float], list[float]]:
        """Lengths of the error bars, as matplotlib takes them."""
        value = self.metric.value
        return [max(0.0, value - self.low)], [max(0.0, self.high - value)]

    @property
    def significant(self) -> bool:
        versus = self.case.versus_baseline.get(self.name)
        return versus is not None and versus.deciding_p < SIGNIFICANT


def plots(report: Report) -> Iterator[tuple[str, Figure]]:
    """Yield `(experiment, figure)` for every experiment that has a complete case.

    An experiment with a dose gets dose-response curves, any other a dot for every case.
    """
    for experiment in report.experiments:
        complete = _complete(report, experiment)
        if by_dose(report, complete):
            yield experiment, dose_response(report, experiment)
        elif complete:
            yield experiment, dots(report, experiment)


def dose_response(report: Report, experiment: str) -> Figure:
    """The metrics that are shown over the dose, one line per combination of the other axes.

    Each line has its baseline as a dashed line in the same colour; a baseline that all lines share
    is grey. Doses that would crowd on a linear axis are spaced evenly.
    """
    complete = _complete(report, experiment)
    treated = by_dose(report, complete)
    places = places_of({dose for dose, _ in treated})
    names = shown_metrics(complete)
    figure, stacked = panels(HEIGHT + _PANEL * (len(names) - 1), len(names))
    for axes, name in zip(stacked, names, strict=True):
        having = [case for case in complete if name in case.metrics]
        _panel(axes, having, by_dose(report, having), places, name)
    gap = _gap(places)
    margin = max(0.04 * (max(places.values()) - min(places.values())), 0.4 * gap)
    axes = stacked[-1]
    axes.set_xlim(min(places.values()) - margin, max(places.values()) + margin)
    axes.set_xticks(list(places.values()), [f"{dose:g}" for dose in places])
    even = list(places) != list(places.values())
    axis = treated[0][1].dose_axis or "dose"
    axes.set_xlabel(f"{axis} (spaced evenly, not to scale)" if even else axis)
    series = curves(treated)
    entries = list(series) if 1 < len(series) <= _MOST_CURVES else []
    surround(
        figure,
        stacked[0],
        title=experiment,
        subtitle=_subtitle(report, experiment),
        caption=(
            _caption(report, experiment, baseline="Dashed")
            if len(series) <= _MOST_CURVES
            else f"{len(series)} curves; the page has each with its baseline and intervals."
        ),
        entries=entries,
    )
    untangle(figure, axes)
    return figure


def _panel(
    axes: Axes,
    complete: Sequence[CaseReport],
    treated: Sequence[Dosed],
    places: Mapping[float, float],
    metric: str,
) -> None:
    """One metric over the dose."""
    by_id = {case.id: case for case in complete}
    series = curves(treated)
    shared = len(series) > 1 and len({case.baseline for _, case in treated}) == 1
    axes.set_ylabel(metric)
    axes.grid(axis="y", color=RULE, linewidth=0.8)
    if _are_rates(complete, metric):
        axes.set_ylim(-0.03, 1.03)
    if len(series) > _MOST_CURVES:
        _bundle(axes, series.values(), places, metric)
        return
    styles = zip(cycle(COLOURS), cycle(MARKERS), strict=False)
    for index, ((name, members), (colour, marker)) in enumerate(
        zip(series.items(), styles, strict=False)
    ):
        shift = (index - (len(series) - 1) / 2) * min(0.07, 0.4 / len(series)) * _gap(places)
        points = [_Point(places[dose] + shift, case, metric) for dose, case in members]
        bands = len(series) <= _MOST_BANDS
        _curve(axes, points, name, colour, marker, band=bands)
        if index == 0 or not shared:
            baselines = [
                _Point(places[dose], by_id[case.baseline], metric)
                for dose, case in members
                if case.baseline in by_id
            ]
            _baseline(axes, baselines, GREY if shared else colour, band=bands or shared)


def _bundle(
    axes: Axes, series: Iterable[Sequence[Dosed]], places: Mapping[float, float], metric: str
) -> None:
    """Many curves as one bundle of thin lines."""
    lines = [
        [(places[dose], case.metrics[metric].value) for dose, case in members] for members in series
    ]
    axes.add_collection(LineCollection(lines, colors=COLOURS[0], linewidths=0.7, alpha=0.35))
    axes.autoscale_view()


def _gap(places: Mapping[float, float]) -> float:
    return min((b - a for a, b in pairwise(places.values())), default=1.0)


def dots(report: Report, experiment: str) -> Figure:
    """The primary metric of every complete case, one below the other; baselines are diamonds."""
    complete = _complete(report, experiment)
    names = varying(complete)
    figure, axes = canvas(max(3.0, 1.8 + 0.3 * len(complete)))
    texts = []
    for row, case in enumerate(complete):
        baseline = case.id in report.baselines
        point, colour = _Point(row, case, case.metric), GREY if baseline else COLOURS[0]
        axes.errorbar(
            [point.metric.value],
            [row],
            xerr=point.errors,
            fmt="D" if baseline else "o",
            color=colour,
            markerfacecolor=colour if point.significant else "white",
            markersize=6,
            capsize=3,
        )
        parts = [label(case.params, names), "baseline" if baseline else ""]
        text = ", ".join(part for part in parts if part) or case.id
        texts.append("\n".join(textwrap.wrap(text, 42)))
    axes.set_yticks(range(len(complete)), texts)
    axes.set_ylim(len(complete) - 0.4, -0.6)
    axes.set_xlabel(complete[0].metric)
    axes.grid(axis="x", color=RULE, linewidth=0.8)
    if _are_rates(complete, complete[0].metric):
        axes.set_xlim(-0.03, 1.03)
    surround(
        figure,
        axes,
        title=experiment,
        subtitle=_subtitle(report, experiment),
        caption=_caption(report, experiment, baseline="Diamond"),
        entries=[],
    )
    return figure


def _complete(report: Report, experiment: str) -> list[CaseReport]:
    """The cases to draw: those that have their primary metric."""
    return [case for case in report.experiment(experiment) if case.metric in case.metrics]


def _are_rates(cases: Sequence[CaseReport], metric: str) -> bool:
    points = [_Point(0.0, case, metric) for case in cases]
    return all(point.low >= 0 and point.high <= 1 for point in points)


def _curve(
    axes: Axes, points: Sequence[_Point], name: str, colour: str, marker: str, *, band: bool
) -> None:
    """One line with its intervals; filled markers are significant."""
    at, values = [point.at for point in points], [point.metric.value for point in points]
    axes.plot(at, values, color=colour, linewidth=1.6, zorder=3)
    # Seen in the legend alone: the line with its marker, whatever its points' significance.
    axes.plot([], [], color=colour, linewidth=1.6, marker=marker, markersize=5, label=name)
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
            markersize=5.5,
            elinewidth=1.1,
            capsize=2.5,
            zorder=4,
        )


def _baseline(axes: Axes, points: Sequence[_Point], colour: str, *, band: bool) -> None:
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


def _subtitle(report: Report, experiment: str) -> str:
    cases = report.experiment(experiment)
    parts = (
        ", ".join(dict.fromkeys(case.model for case in cases)),
        ", ".join(dict.fromkeys(case.task.name for case in cases)),
        "n = " + ", ".join(dict.fromkeys(str(case.task.size) for case in cases)),
    )
    return "  ·  ".join(parts)


def _caption(report: Report, experiment: str, *, baseline: str) -> str:
    """How to read the figure, and what is not in it."""
    cases = report.experiment(experiment)
    complete = _complete(report, experiment)
    parts = ["Bars: 95 % intervals."]
    if any(case.id in report.baselines for case in complete):
        parts.append(f"{baseline}: baseline.")
    compared = [versus for case in complete for versus in case.versus_baseline.values()]
    if compared:
        plain = any(versus.p_holm is None for versus in compared)
        correction = "uncorrected" if plain else "Holm-corrected"
        parts.append(f"Filled: p < {SIGNIFICANT:g} versus baseline, {correction}.")
    missing = len(cases) - len(complete)
    if missing:
        parts.append(f"Left out: {missing} of {len(cases)} cases, not complete.")
    return "  ".join(parts)
