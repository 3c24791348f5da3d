"""Where half of a curve's effect is there, in a plot of metrics over doses: a line and its band."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes

from harness.report.figures.curve_panels import Panel
from harness.report.report import DoseReport, RunReport

#: With more curves than this, bands would only cover each other.
_MOST = 2


def mark_doses(
    axes: Axes, report: RunReport, panel: Panel, places: Mapping[float, float], metric: str
) -> None:
    """Draw the ED50 of each curve of a panel in its hue, with its 95 % interval."""
    marked = [
        (curve, found)
        for curve in panel.curves
        if not curve.is_control
        for case in [curve.members[0][1]]
        for others in [{axis: own for axis, own in case.params.items() if axis != case.dose_axis}]
        for found in report.doses
        if (found.experiment, found.metric, found.params) == (case.experiment, metric, others)
    ]
    if len(marked) > _MOST:
        return
    for row, (curve, found) in enumerate(marked):
        if found.ed50 is None:
            continue
        hue = curve.hue.light
        low, value, high = (
            _place(dose, found, places)
            for dose in (found.ed50.low, found.ed50.value, found.ed50.high)
        )
        axes.axvspan(low, high, color=hue, alpha=0.08, linewidth=0, zorder=0)
        across = axes.get_xaxis_transform()
        axes.vlines(value, 0, 1, hue, linestyles="dotted", linewidth=1.2, transform=across)
        axes.annotate(
            f"ED50 {found.ed50.value:.3g}",
            (value, 1),
            xycoords=("data", "axes fraction"),
            xytext=(3, -3 - 11 * row),
            textcoords="offset points",
            va="top",
            size=8,
            color=hue,
        )


def _place(dose: float, found: DoseReport, places: Mapping[float, float]) -> float:
    """Where a dose between two measured ones is drawn: straight on the curve's own scale."""
    doses = [each for each in found.doses if each in places]
    scaled = [each if found.scale == "linear" else np.log2(each + 1) for each in (dose, *doses)]
    return float(np.interp(scaled[0], scaled[1:], [places[each] for each in doses]))
