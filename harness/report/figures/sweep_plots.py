"""Figures of sweeps over seeds: a metric along an axis, a line per method, chance beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from matplotlib.figure import Figure

from harness.report.figures.figure import GREY, HEIGHT, canvas, surround, untangle
from harness.report.figures.palette import COLOURS, MARKERS
from harness.report.sweeps import SweepLine

#: Lines that can be told apart in one figure; more are drawn in figures of their own.
_MOST = len(COLOURS)
_APART = 0.06


def sweep_plots(
    sweeps: Sequence[SweepLine], title: str, subtitle: str, metric: str
) -> Iterator[tuple[str, Figure]]:
    """Yield `(axis, figure)`; what has too many lines is cut, which its caption says."""
    for axis in dict.fromkeys(sweep.axis for sweep in sweeps):
        yield axis, _figure([each for each in sweeps if each.axis == axis], title, subtitle, metric)


def _figure(sweeps: Sequence[SweepLine], title: str, subtitle: str, metric: str) -> Figure:
    figure, axes = canvas(HEIGHT)
    lines, places = _apart(sweeps), _places(sweeps)
    shown = lines[:_MOST]
    for number, (sweep, alike) in enumerate(shown):
        points = sweep.points
        at = [
            places.index(point.label) + (number - (len(shown) - 1) / 2) * _APART for point in points
        ]
        trend = "" if sweep.trend is None else f", \u03c1 = {sweep.trend.rho:+.2f}"
        axes.errorbar(
            at,
            [point.value for point in points],
            (
                [
                    point.value - (point.value if point.low is None else point.low)
                    for point in points
                ],
                [
                    (point.value if point.high is None else point.high) - point.value
                    for point in points
                ],
            ),
            fmt=f"{MARKERS[number % len(MARKERS)]}-",
            color=COLOURS[number],
            capsize=3,
            markersize=4,
            label=f"{sweep.others or metric}{f' and {alike} alike' if alike else ''}{trend}",
        )
    chances = [
        point.chance for sweep, _ in shown for point in sweep.points if point.chance is not None
    ]
    if chances:
        level = max(chances)
        axes.axhline(level, color=GREY, linestyle="--", linewidth=1, label=f"chance, {level:.2g}")
    for number, (sweep, _) in enumerate(shown):
        if sweep.blank is not None:
            axes.axhline(sweep.blank, color=COLOURS[number], linestyle=":", linewidth=1)
    axes.set_xticks(range(len(places)), places)
    axes.set_xlabel(sweeps[0].axis)
    axes.set_ylabel(metric)
    untangle(figure, axes)
    dotted = "; dotted: 95 % of controls stay below" if any(s.blank for s, _ in shown) else ""
    cut = "" if len(lines) <= _MOST else f"; {len(lines) - _MOST} of {len(lines)} lines left out"
    surround(
        figure,
        axes,
        title=title,
        subtitle=subtitle,
        caption="means over seeds with their 95 % t intervals, or of the cases where seeds agree; "
        f"\u03c1: Spearman's correlation with the order of the axis{dotted}{cut}",
        entries=axes.get_legend_handles_labels()[1],
    )
    return figure


def _apart(sweeps: Sequence[SweepLine]) -> list[tuple[SweepLine, int]]:
    """The first of the lines that are the same, each with the number of those that are like it."""
    found: list[tuple[SweepLine, int]] = []
    for sweep in sweeps:
        same = [other for other in sweeps if other.points == sweep.points]
        if same[0] is sweep:
            found.append((sweep, len(same) - 1))
    return found


def _places(sweeps: Sequence[SweepLine]) -> list[str]:
    """The values of the axis in the order in which lines have them."""
    return list(dict.fromkeys(point.label for sweep in sweeps for point in sweep.points))
