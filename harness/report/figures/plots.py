"""Plots of a report: one figure per experiment, drawn from its report alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from matplotlib.figure import Figure

from harness.report.figures.curves import by_dose
from harness.report.figures.dose_response import dose_response
from harness.report.figures.dots import dots
from harness.report.figures.help import help_figure, help_heatmaps
from harness.report.figures.plotted import complete
from harness.report.figures.predictors import predictors_figure
from harness.report.report import RunReport

#: Cases below each other in one figure, at 0.3 inches each.
_MOST_DOTS = 200


def plots(
    report: RunReport, experiments: Iterable[str] | None = None
) -> Iterator[tuple[str, Figure]]:
    """Yield `(experiment, figure)` for every experiment, or some, that has a complete case.

    An experiment with a dose gets dose-response curves, any other a dot for every case, unless
    they are so many that nobody could tell them apart. One with help of an oracle has its curves
    beside them, and a heatmap where two amounts of it are swept; one that says what asking is
    worth has what predicts it.
    """
    for experiment in report.experiments if experiments is None else experiments:
        cases = complete(report, experiment)
        if by_dose(report, cases):
            yield experiment, dose_response(report, experiment)
        elif 0 < len(cases) <= _MOST_DOTS:
            yield experiment, dots(report, experiment)
        helped = help_figure(report, experiment)
        if helped is not None:
            yield f"{experiment}-help", helped
        telling = predictors_figure(report, experiment)
        if telling is not None:
            yield f"{experiment}-predictors", telling
        for name, drawn in help_heatmaps(report, experiment):
            yield f"{experiment}-help-{name}", drawn
