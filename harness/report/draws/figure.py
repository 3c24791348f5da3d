"""An analysis of draws as a figure: its curves, and below them what they differ from a baseline."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import cycle, pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.report.draws.curves import Bounds, Drawing, Point
from harness.report.figures.figure import GREY, HEIGHT, RULE, panels, surround
from harness.report.figures.palette import COLOURS, MARKERS, ordered

#: Inches of the panel of differences.
_PANEL = 2.2
#: More curves than this are told apart by their order alone, and have no intervals.
_MOST_NAMED = 12
#: Letters of a baseline's name that have room beside that panel.
_ROOM = 20
#: How far curves stand beside each other, of the smallest step between two x, all together.
_SPREAD = 0.3


def drawing_figure(drawing: Drawing, title: str, subtitle: str) -> Figure:
    """The curves of an analysis; x is logarithmic where it doubles."""
    curves, places = drawing.curves, drawing.places
    compared = any(point.delta is not None for points in curves.values() for point in points)
    figure, axes = panels(HEIGHT + _PANEL * compared, 1 + compared)
    few = len(curves) <= _MOST_NAMED
    hues = COLOURS if len(curves) <= len(COLOURS) else [h.light for h in ordered(len(curves))]
    numeric = all(isinstance(x, float | int) for x in places)
    doubles = numeric and len(places) > 2 and min(places.values()) > 0 and _doubles([*places])
    spread = _SPREAD * _step(sorted(np.log2([*places.values()]) if doubles else places.values()))
    for at, ((label, points), colour, marker) in enumerate(
        zip(curves.items(), cycle(hues), cycle(MARKERS), strict=False)
    ):
        beside = spread * ((at + 0.5) / len(curves) - 0.5) if few else 0.0
        style = {"color": colour, "marker": marker, "label": label}
        at_x = [places[point.x] for point in points]
        xs = [x * 2**beside if doubles else x + beside for x in at_x]
        _line(axes[0], xs, [(p.value, p.interval) for p in points], style, bars=few)
        if compared:
            differs = [
                (x, (p.delta, p.delta_interval))
                for x, p in zip(xs, points, strict=True)
                if p.delta is not None
            ]
            if differs:
                shifted, apart = zip(*differs, strict=True)
                _line(axes[1], shifted, apart, style, bars=few)
    axes[0].set_ylabel(drawing.analysis.y.name)
    axes[-1].set_xlabel(drawing.analysis.x)
    if compared:
        axes[1].axhline(0, color=GREY, linewidth=0.9, zorder=0)
        axes[1].set_ylabel(_against(drawing.baseline or ""))
    for each in axes:
        each.grid(axis="y", color=RULE, linewidth=0.8)
    if doubles:
        axes[-1].set_xscale("log", base=2)
    if doubles or not numeric or len(places) <= _MOST_NAMED:
        axes[-1].set_xticks(list(places.values()), [_named(x) for x in places], minor=False)
        axes[-1].minorticks_off()
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
        entries=list(curves) if 1 < len(curves) <= _MOST_NAMED else [],
    )
    return figure


def _against(baseline: str) -> str:
    """What differences are from, in the room that there is beside a panel."""
    return f"minus {baseline}" if 0 < len(baseline) <= _ROOM else "minus the own baseline"


def _line(
    axes: Axes,
    xs: Sequence[float],
    values: Sequence[tuple[float, Bounds]],
    style: dict[str, str],
    *,
    bars: bool,
) -> None:
    means = [value for value, _ in values]
    axes.plot(xs, means, markersize=3.5, linewidth=1.2, **style)  # type: ignore[arg-type]
    if bars:
        low = [max(0.0, value - (ci[0] if ci[0] is not None else value)) for value, ci in values]
        high = [max(0.0, (ci[1] if ci[1] is not None else value) - value) for value, ci in values]
        axes.errorbar(xs, means, [low, high], fmt="none", ecolor=style["color"], elinewidth=0.7)


def _doubles(xs: Sequence[float | str]) -> bool:
    numbers = sorted(float(x) for x in xs)
    return numbers[-1] / numbers[0] >= 4


def _step(places: Sequence[float]) -> float:
    return min((b - a for a, b in pairwise(places)), default=1.0)


def _named(x: float | str) -> str:
    return x if isinstance(x, str) else f"{x:g}"


def table_rows(drawing: Drawing) -> Iterator[tuple[str, ...]]:
    """The same numbers as text, a row per curve and x."""
    for label, points in drawing.curves.items():
        for point in points:
            yield label, *_row(point)


def _row(point: Point) -> tuple[str, ...]:
    return (
        _named(point.x),
        f"{point.value:.3f}",
        _bounds(point.interval),
        "" if point.delta is None else f"{point.delta:+.3f}",
        _bounds(point.delta_interval),
        str(point.n),
    )


def _bounds(interval: Bounds) -> str:
    low, high = interval
    return "" if low is None or high is None else f"[{low:.3f}, {high:.3f}]"
