"""An experiment without a dose as a figure: a dot for every case."""

from __future__ import annotations

import textwrap

from matplotlib.figure import Figure

from harness.report.figures.figure import GREY, RULE, canvas, surround
from harness.report.figures.palette import COLOURS
from harness.report.figures.plotted import PlottedPoint, are_rates, caption, complete, subtitle
from harness.report.labels import label, varying
from harness.report.report import RunReport


def dots(report: RunReport, experiment: str) -> Figure:
    """The primary metric of every complete case, one below the other; baselines are diamonds."""
    cases = complete(report, experiment)
    names = varying(cases)
    figure, axes = canvas(max(3.0, 1.8 + 0.3 * len(cases)))
    texts = []
    for row, case in enumerate(cases):
        baseline = case.id in report.baselines
        point, colour = PlottedPoint(row, case, case.metric), GREY if baseline else COLOURS[0]
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
    axes.set_yticks(range(len(cases)), texts)
    axes.set_ylim(len(cases) - 0.4, -0.6)
    axes.set_xlabel(cases[0].metric)
    axes.grid(axis="x", color=RULE, linewidth=0.8)
    if are_rates(cases, cases[0].metric):
        axes.set_xlim(-0.03, 1.03)
    surround(
        figure,
        axes,
        title=experiment,
        subtitle=subtitle(report, experiment),
        caption=caption(report, experiment, baseline="Diamond"),
        entries=[],
    )
    return figure
