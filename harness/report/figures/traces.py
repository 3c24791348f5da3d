"""What completions traced token by token (the doses that were chosen), by position, as figures.

At each position: the mean over the samples whose completions have got that far, a sample's draws
averaged first, with its 95 % interval. One panel per trace and curve of the experiment, one line
per case.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from harness.metrics.column import column_of
from harness.report.figures.curves import by_dose, curves
from harness.report.figures.figure import RULE, panels, surround
from harness.report.figures.palette import MARKERS, ordered, styles
from harness.report.labels import label, varying
from harness.report.report import CaseReport, RunReport
from harness.statistics.intervals import mean_interval

#: Inches of a panel.
_PANEL = 1.9


@dataclass(frozen=True)
class Profile:
    """A trace of one case by position; `low` and `high` are NaN where nothing can be estimated."""

    means: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


def profiles(records: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Profile]]:
    """Case -> column -> profile, of the lines of samples.jsonl that have columns to draw."""
    found: dict[str, dict[str, dict[str, list[Sequence[float]]]]] = {}
    for record in records:
        for name, values in (record.get("traces") or {}).items():
            if not column_of(name).drawn:
                continue
            samples = found.setdefault(record["case"], {}).setdefault(name, {})
            samples.setdefault(str(record["sample"]), []).append(values)
    return {
        case: {name: _profile(samples) for name, samples in traces.items()}
        for case, traces in found.items()
    }


def trace_images(report: RunReport, records: Iterable[Mapping[str, Any]]) -> dict[str, bytes]:
    """PNG by experiment, for those that have traces."""
    images = {}
    for name, figure in trace_figures(report, records):
        image = io.BytesIO()
        figure.savefig(image, format="png")
        images[name] = image.getvalue()
    return images


def trace_figures(
    report: RunReport, records: Iterable[Mapping[str, Any]]
) -> Iterator[tuple[str, Figure]]:
    """Yield `(experiment, figure)` for those that have traces in the lines of samples.jsonl."""
    found = profiles(records)
    for name in report.experiments:
        if any(found.get(case.id) for case in report.experiment(name)):
            yield name, trace_figure(report, name, found)


def trace_figure(
    report: RunReport, experiment: str, found: Mapping[str, Mapping[str, Profile]]
) -> Figure:
    """The profiles of an experiment's cases; a dose has the same colour in every panel."""
    cases = [case for case in report.experiment(experiment) if found.get(case.id)]
    treated = [pair for pair in by_dose(report, cases) if pair[1] in cases]
    names = list(dict.fromkeys(name for case in cases for name in found[case.id]))
    groups = _groups(treated, cases)
    lines = list(dict.fromkeys(text for each in groups.values() for text, _ in each))
    # Doses have an order, and are ascending here; cases without one have names.
    drawn = zip(ordered(len(lines)), cycle(MARKERS), strict=False) if treated else styles()
    style = {line: (hue.light, mark) for line, (hue, mark) in zip(lines, drawn, strict=False)}
    shown = [(name, group) for name in names for group in groups]
    figure, axes = panels(1.2 + _PANEL * len(shown), len(shown))
    for panel, (name, group) in zip(axes, shown, strict=True):
        for text, case in groups[group]:
            if name in found[case.id]:
                _line(panel, found[case.id][name], *style[text])
        panel.set_title(group, loc="left", fontsize=8.5)
        panel.set_ylabel(name)
        panel.grid(axis="y", color=RULE, linewidth=0.8)
    for panel, (name, _) in zip(axes, shown, strict=True):
        beside = [name] if column_of(name).apart else [n for n in names if not column_of(n).apart]
        # By the means: where two or three samples are left, their interval is far wider than any.
        means = [found[case.id][n].means for case in cases for n in beside if n in found[case.id]]
        top = 1.3 * max((max(each) for each in means if each), default=0.0) or 1.0
        panel.set_ylim(-0.03 * top, top)
    axes[-1].set_xlabel("generated token")
    axes[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    first = cases[0]
    # A panel without some case would leave its line out of the legend.
    for text, (colour, marker) in style.items():
        axes[0].plot([], [], color=colour, marker=marker, markersize=4, label=text)
    surround(
        figure,
        axes[0],
        title=f"{experiment}: token by token",
        subtitle=f"{first.model}  ·  {first.task.name}  ·  n = {first.task.size}",
        caption="Mean over the samples whose completions have got to a position; bands: its 95 % "
        "intervals. Late positions stand for the few longest completions.",
        entries=list(style) if len(style) > 1 else [],
    )
    return figure


def _groups(
    treated: Sequence[tuple[float, CaseReport]], cases: Sequence[CaseReport]
) -> dict[str, list[tuple[str, CaseReport]]]:
    """What is drawn in one panel: the cases of a curve by their doses, or else all cases."""
    if treated:
        axis = (treated[0][1].dose_axis or "dose").rpartition(".")[2]
        return {
            name: [(f"{axis} = {dose:g}", case) for dose, case in members]
            for name, members in curves(treated).items()
        }
    axes = varying(cases)
    return {"": [(label(case.params, axes) or case.id, case) for case in cases]}


def _profile(samples: Mapping[str, Sequence[Sequence[float]]]) -> Profile:
    longest = max(len(values) for draws in samples.values() for values in draws)
    columns = []
    for position in range(longest):
        values = [
            float(np.mean(alive))
            for draws in samples.values()
            if (alive := [each[position] for each in draws if len(each) > position])
        ]
        low, high = mean_interval(values)
        nothing = float("nan")
        columns.append(
            (
                float(np.mean(values)),
                nothing if low is None else low,
                nothing if high is None else high,
            )
        )
    means, lows, highs = zip(*columns, strict=True) if columns else ((), (), ())
    return Profile(means, lows, highs)


def _line(axes: Axes, profile: Profile, colour: str, marker: str) -> None:
    at = range(1, len(profile.means) + 1)
    axes.plot(at, profile.means, color=colour, marker=marker, markersize=2.5, linewidth=1.3)
    axes.fill_between(at, profile.low, profile.high, color=colour, alpha=0.14, linewidth=0)
