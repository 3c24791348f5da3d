"""At which dose, in a plot over doses: ED50 with its band, the no-effect dose, the window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes

from harness.report.dose_report import DoseReport, WindowReport
from harness.report.figures.curve_panels import Panel
from harness.report.figures.curves import hill_of, place_of
from harness.report.figures.figure import INK
from harness.report.labels import dose_text
from harness.report.report import RunReport
from harness.report.sweeps import SEED

#: With more curves than this, bands would only cover each other.
MOST_MARKED = 2
#: Dots and dashes: neither a baseline's line nor a control's.
_HILL = (0, (6, 2, 1, 2))
HILL = "_hill"
"""The label of a fitted curve, which legends leave out."""
#: Of the width of a plot: beyond it words do not fit any more.
_LATE = 0.75
#: Of a window: a hue that no curve has.
_WINDOW = "#2E7D32"
#: Of the height of a plot: room below the curves, so that no-effect doses are not said over what is
#: drawn; and for each row of them.
_LANE, _LANE_ROW = 0.03, 0.07


def mark_doses(
    axes: Axes, report: RunReport, panel: Panel, places: Mapping[float, float], metric: str
) -> bool:
    """Draw what is said of the curves of a panel, each in its hue.

    Returns:
        Whether Hill's curve is among it.
    """
    curves = [
        (curve, case.experiment, others)
        for curve in panel.curves
        if not curve.is_control
        for case in [curve.members[0][1]]
        for others in [{axis: own for axis, own in case.params.items() if axis != case.dose_axis}]
    ]
    fitted, drawn, rows = False, axes.dataLim.y0, 0
    for found in report.doses:  # over seeds, in the colour of no seed
        seeded = any(
            SEED in others
            and (found.experiment, found.metric) == (experiment, metric)
            and found.params == {axis: own for axis, own in others.items() if axis != SEED}
            for _, experiment, others in curves
        )
        if seeded:
            fitted |= _mark(axes, found, places, INK, 0)
            rows = max(rows, int(found.loel is not None))
    for row, (curve, experiment, others) in enumerate(curves if len(curves) <= MOST_MARKED else ()):
        for found in report.doses:
            if (found.experiment, found.metric, found.params) == (experiment, metric, others):
                fitted |= _mark(axes, found, places, curve.hue.light, row)
                rows = max(rows, (row + 1) * (found.loel is not None))
        for between in report.windows:
            if (between.experiment, between.params) == (experiment, others):
                _mark_window(axes, report, between, places, metric)
    if rows:
        low, high = axes.get_ylim()
        lane = _LANE + _LANE_ROW * rows
        axes.set_ylim(min(low, (drawn - lane * high) / (1 - lane)), high)
    return fitted


def _mark(axes: Axes, found: DoseReport, places: Mapping[float, float], hue: str, row: int) -> bool:
    """A dotted line at ED50 with its interval, a triangle at the no-effect dose, Hill's curve."""
    across = axes.get_xaxis_transform()

    def at(dose: float) -> float:
        return place_of(dose, found.doses, found.scale, places)

    fitted = hill_of(found, places)
    if fitted:
        axes.plot(
            *zip(*fitted, strict=True),
            color=hue,
            linewidth=0.9,
            linestyle=_HILL,
            zorder=1.5,
            label=HILL,
        )
    if found.loel is not None:
        axes.plot([at(found.noel)], [0.015], "^", color=hue, markersize=6, transform=across)
        _say(axes, f"NOEL {dose_text(found.noel)}", (at(found.noel), 0.015), (5, 1 + 10 * row), hue)
    if found.ed50 is None:
        return bool(fitted)
    low, value, high = map(at, (found.ed50.low, found.ed50.value, found.ed50.high))
    axes.axvspan(low, high, color=hue, alpha=0.08, linewidth=0, zorder=0)
    axes.vlines(value, 0, 1, hue, linestyles="dotted", linewidth=1.2, transform=across)
    text = f"ED50 {found.ed50.value:.3g} [{found.ed50.low:.3g}, {found.ed50.high:.3g}]"
    _say(axes, text, (value, 1), (3, -3 - 11 * row), hue, va="top")
    return bool(fitted)


def _mark_window(
    axes: Axes,
    report: RunReport,
    between: WindowReport,
    places: Mapping[float, float],
    metric: str,
) -> None:
    """A band from the target's ED50 to the capability's BMDL, in the panels of both."""
    if metric not in (between.target, between.capability) or not between.opens:
        return
    assert between.ed50 is not None
    shape: tuple[Sequence[float], str] = (sorted(places), "linear")
    for found in report.doses:
        if (found.experiment, found.params) == (between.experiment, between.params):
            shape = found.doses, found.scale
    first, last = (place_of(dose, *shape, places) for dose in (between.ed50.value, between.end))
    axes.axvspan(first, last, facecolor=_WINDOW, alpha=0.10, linewidth=0, zorder=0)
    _say(axes, f"window {between.ed50.value:.3g} to {between.end:.3g}", (first, 0.5), (3, 0), INK)


def _say(
    axes: Axes,
    text: str,
    at: tuple[float, float],
    off: tuple[int, int],
    hue: str,
    va: str = "baseline",
) -> None:
    """Words beside a dose; on its left where there is no room to the right."""
    first, last = axes.get_xlim()
    late = at[0] > first + _LATE * (last - first)
    axes.annotate(
        text,
        at,
        xycoords=("data", "axes fraction"),
        xytext=(-off[0] if late else off[0], off[1]),
        textcoords="offset points",
        ha="right" if late else "left",
        va=va,
        size=8,
        color=hue,
    )
