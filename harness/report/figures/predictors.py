"""How well numbers of the model tell where help mends a wrong answer, with their intervals."""

from __future__ import annotations

from matplotlib.figure import Figure

from harness.measure.probes import CHANCE
from harness.report.figures.figure import RULE, canvas, surround
from harness.report.figures.palette import COLOURS
from harness.report.report import RunReport


def predictors_figure(report: RunReport, experiment: str) -> Figure | None:
    """A row for each number of the experiment's first case that has any; None without one."""
    cases = [case.id for case in report.experiment(experiment)]
    told = [each for each in report.predictors if each.case in cases]
    rows = [each for each in told if each.case == told[0].case]
    if not rows:
        return None
    figure, axes = canvas(1.4 + 0.32 * len(rows))
    for at, each in enumerate(reversed(rows)):
        value, low, high = (each.auc.value, each.auc.low, each.auc.high)
        if value is not None:
            axes.plot([value], [at], marker="o", markersize=5, color=COLOURS[0])
        if low is not None and high is not None:
            axes.plot([low, high], [at, at], color=COLOURS[0], linewidth=1.3)
    axes.axvline(CHANCE, color=RULE, zorder=0)
    axes.set_yticks(range(len(rows)), [each.statistic for each in reversed(rows)])
    axes.set_xlim(-0.03, 1.03)
    axes.set_xlabel("area under the ROC curve")
    surround(
        figure,
        axes,
        title=f"{experiment}: what tells where help mends a wrong answer",
        subtitle=f"{rows[0].positions} positions of wrong answers",
        caption="95 % intervals over samples. Below .5 smaller numbers say that help mends.",
        entries=[],
    )
    return figure
