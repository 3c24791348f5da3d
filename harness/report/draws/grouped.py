"""Many curves of an analysis: a panel per setting of the other axes, in it a line per dose."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.figure import Figure

from harness.report.draws.curves import AnalysisCurves
from harness.report.draws.lines import MOST_NAMED, Along, draw_line
from harness.report.figures.figure import RULE, panels, surround
from harness.report.figures.palette import MARKERS, ordered

#: Panel -> line -> label of its curve.
Groups = Mapping[str, Mapping[str, str]]
#: Inches of a panel.
_PANEL = 1.6


def fit(drawing: AnalysisCurves, groups: Groups) -> bool:
    """Whether curves that are too many for one panel can be told apart in several."""
    lines = {line for each in groups.values() for line in each}
    return len(drawing.curves) > MOST_NAMED >= max(len(groups), len(lines)) and len(groups) > 1


def grouped_figure(drawing: AnalysisCurves, groups: Groups, title: str, subtitle: str) -> Figure:
    """All panels on the same axes; a dose has the same colour in each. Baselines are not drawn."""
    lines = list(dict.fromkeys(line for each in groups.values() for line in each))
    hues = dict(zip(lines, (hue.light for hue in ordered(len(lines))), strict=True))
    along = Along.of(drawing.places)
    figure, axes = panels(1.2 + _PANEL * len(groups), len(groups))
    for panel, (name, group) in zip(axes, groups.items(), strict=True):
        for at, line in enumerate(lines):
            points = drawing.curves.get(group.get(line, ""), ())
            draw_line(
                panel,
                [along.beside(point.x, at, len(lines)) for point in points],
                [(point.value, point.interval) for point in points],
                {"color": hues[line], "marker": MARKERS[at % len(MARKERS)], "label": line},
                bars=True,
            )
        panel.set_title(name, loc="left", fontsize=8.5)
        panel.set_ylabel(drawing.analysis.y.name)
        panel.grid(axis="y", color=RULE, linewidth=0.8)
    low, high = zip(*(panel.get_ylim() for panel in axes), strict=True)
    for panel in axes:
        panel.set_ylim(min(low), max(high))
    along.mark(axes[-1])
    axes[-1].set_xlabel(drawing.analysis.x)
    surround(
        figure,
        axes[0],
        title=f"{title}: {drawing.analysis.title[0].lower()}{drawing.analysis.title[1:]}",
        subtitle=subtitle,
        caption=f"{drawing.analysis.about} Bars: 95 % intervals over samples; the table has the "
        "differences from each case's baseline.",
        entries=lines,
    )
    return figure
