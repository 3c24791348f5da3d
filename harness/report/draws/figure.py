"""An analysis of draws as a figure: its curves, and below them what they differ from a baseline."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle
from types import MappingProxyType

from matplotlib.figure import Figure

from harness.report.draws.curves import AnalysisCurves, Bounds, CurvePoint
from harness.report.draws.grouped import Groups, fit, grouped_figure
from harness.report.draws.lines import MOST_NAMED, Along, draw_line, named
from harness.report.figures.figure import GREY, HEIGHT, RULE, panels, surround
from harness.report.figures.palette import COLOURS, MARKERS, ordered

#: Inches of the panel of differences.
_PANEL = 2.2
#: Letters of a baseline's name that have room beside that panel.
_ROOM = 20


def drawing_figure(
    drawing: AnalysisCurves, title: str, subtitle: str, groups: Groups = MappingProxyType({})
) -> Figure:
    """The curves of an analysis, in panels by `groups` where they are too many for one."""
    if fit(drawing, groups):
        return grouped_figure(drawing, groups, title, subtitle)
    curves, along = drawing.curves, Along.of(drawing.places)
    compared = any(point.delta is not None for points in curves.values() for point in points)
    figure, axes = panels(HEIGHT + _PANEL * compared, 1 + compared)
    few = len(curves) <= MOST_NAMED
    hues = COLOURS if len(curves) <= len(COLOURS) else [h.light for h in ordered(len(curves))]
    for at, ((label, points), colour, marker) in enumerate(
        zip(curves.items(), cycle(hues), cycle(MARKERS), strict=False)
    ):
        style = {"color": colour, "marker": marker, "label": label}
        xs = [
            along.beside(point.x, at, len(curves)) if few else along.places[point.x]
            for point in points
        ]
        draw_line(axes[0], xs, [(p.value, p.interval) for p in points], style, bars=few)
        if compared:
            differs = [
                (x, (p.delta, p.delta_interval))
                for x, p in zip(xs, points, strict=True)
                if p.delta is not None
            ]
            if differs:
                shifted, apart = zip(*differs, strict=True)
                draw_line(axes[1], shifted, apart, style, bars=few)
    axes[0].set_ylabel(drawing.analysis.y.name)
    axes[-1].set_xlabel(drawing.analysis.x)
    if compared:
        axes[1].axhline(0, color=GREY, linewidth=0.9, zorder=0)
        axes[1].set_ylabel(_against(drawing.baseline or ""))
    for each in axes:
        each.grid(axis="y", color=RULE, linewidth=0.8)
    along.mark(axes[-1])
    surround(
        figure,
        axes[0],
        title=f"{title}: {drawing.analysis.title[0].lower()}{drawing.analysis.title[1:]}",
        subtitle=subtitle,
        caption=drawing.analysis.about
        + (
            " Bars: 95 % intervals over samples"
            + (", paired by sample below." if compared else ".")
            if few
            else f" {len(curves)} curves; the table has each with its intervals."
        ),
        entries=list(curves) if 1 < len(curves) <= MOST_NAMED else [],
    )
    return figure


def _against(baseline: str) -> str:
    """What differences are from, in the room that there is beside a panel."""
    return f"minus {baseline}" if 0 < len(baseline) <= _ROOM else "minus the own baseline"


def table_rows(drawing: AnalysisCurves) -> Iterator[tuple[str, ...]]:
    """The same numbers as text, a row per curve and x."""
    for label, points in drawing.curves.items():
        for point in points:
            yield label, *_row(point)


def _row(point: CurvePoint) -> tuple[str, ...]:
    return (
        named(point.x),
        f"{point.value:.3f}",
        _bounds(point.interval),
        "" if point.delta is None else f"{point.delta:+.3f}",
        _bounds(point.delta_interval),
        str(point.n),
    )


def _bounds(interval: Bounds) -> str:
    low, high = interval
    return "" if low is None or high is None else f"[{low:.3f}, {high:.3f}]"
