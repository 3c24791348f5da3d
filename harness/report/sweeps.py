"""What seeds say together: a metric along an axis, with an interval over seeds and a trend.

Cases that differ in their seed alone are one point. Its interval is Student's t over the seeds'
values, never their deviation; where seeds do not differ, or there is one,
it is that of the cases themselves, whose bounds are averaged. Raters that all seeds share are in it
as they are in the cases' (`statistics/crossed.py`). A trend is Spearman's rank
correlation of the values of all seeds with the order of the axis.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

from pydantic import JsonValue

from harness.report.labels import label, short_names, text
from harness.report.report import CaseReport

if TYPE_CHECKING:  # with scipy, which collecting benches does without
    from harness.statistics.detection import Limit

SEED = "seed"


@dataclass(frozen=True)
class SweepPoint:
    """One value of the axis."""

    label: str
    value: float
    low: float | None
    high: float | None
    seeds: tuple[float, ...]
    chance: float | None


@dataclass(frozen=True)
class Trend:
    """Spearman's correlation with the order of the axis, and its two-sided p."""

    rho: float
    p: float


@dataclass(frozen=True)
class SweepLine:
    """One line: a metric along an axis, everything else fixed; `missing` values have no case.

    `blank` is what 95 % of controls do not exceed, and `limit` the smallest dose that is detected,
    where controls were measured.
    """

    axis: str
    field: str
    others: str
    params: Mapping[str, JsonValue]
    points: tuple[SweepPoint, ...]
    missing: tuple[str, ...]
    trend: Trend | None
    blank: float | None = None
    limit: Limit | None = None


def sweeps(
    cases: Sequence[CaseReport],
    metric: str,
    chance: str = "",
    unordered: Collection[str] = (),
    controls: Collection[str] = (),
    rated: str = "",
) -> list[SweepLine]:
    """Every axis of an experiment but its seed, as lines over the values of all other axes.

    Args:
        cases: Of one experiment.
        metric: What is drawn.
        chance: The metric that has what chance would give, if there is one.
        unordered: Axes that have no order and so no trend, and along which no line is drawn where
            there is another axis.
        controls: Values of axes, in words, that are shown and are no part of a trend.
        rated: A metric that only cases with several raters have; a metric with an interval of its
            own has raters in it there.
    """
    treated = [case for case in cases if case.grid is not None]
    values: dict[str, dict[str, JsonValue]] = {}
    for case in treated:
        for axis, value in case.params.items():
            values.setdefault(axis, {})[text(value)] = value
    axes = [axis for axis, found in values.items() if axis != SEED and len(found) > 1]
    names = short_names(axes)
    along = [axis for axis in axes if axis not in unordered] or axes
    return [
        sweep
        for axis in along
        for sweep in _along(
            axis,
            treated,
            names,
            values[axis],
            metric,
            chance,
            rated,
            trend=axis not in unordered,
            controls=controls,
        )
    ]


def _along(
    axis: str,
    cases: Sequence[CaseReport],
    names: Mapping[str, str],
    values: Mapping[str, JsonValue],
    metric: str,
    chance: str,
    rated: str,
    *,
    trend: bool,
    controls: Collection[str],
) -> list[SweepLine]:
    others = {name: short for name, short in names.items() if name != axis}
    lines: dict[str, list[CaseReport]] = {}
    for case in cases:
        fixed = {name: case.params.get(name) for name in others}
        lines.setdefault(json.dumps(fixed, sort_keys=True), []).append(case)
    order, unranked = _ordered(values), _words_among_numbers(values)
    found = []
    for members in lines.values():
        places = {word: [c for c in members if text(c.params[axis]) == word] for word in order}
        points = {
            word: point
            for word, own in places.items()
            if (point := _point(word, own, metric, chance, rated)) is not None
        }
        ranks = [
            (order.index(word), value)
            for word, point in points.items()
            if word not in controls and word not in unranked
            for value in point.seeds
        ]
        params = {name: members[0].params.get(name) for name in others}
        found.append(
            SweepLine(
                names[axis],
                axis,
                label(params, others),
                params,
                tuple(points.values()),
                tuple(word for word in order if word not in points),
                _trend(ranks) if trend else None,
            )
        )
    return [each for each in found if len(each.points) > 1]


def _words_among_numbers(values: Mapping[str, JsonValue]) -> set[str]:
    """The values that have no place in the order of an axis of numbers."""
    words = {word for word, value in values.items() if not isinstance(value, int | float)}
    return words if len(words) < len(values) else set()


def _ordered(values: Mapping[str, JsonValue]) -> list[str]:
    """Numbers rising, anything else as it was written."""
    numbers = [value for value in values.values() if isinstance(value, int | float)]
    if len(numbers) == len(values):
        return [text(number) for number in sorted(numbers)]
    return list(values)


def _point(
    word: str, cases: Sequence[CaseReport], metric: str, chance: str, rated: str
) -> SweepPoint | None:
    measured = [case.metrics[metric] for case in cases if metric in case.metrics]
    if not measured:
        return None
    seeds = tuple(each.value for each in measured)
    from harness.statistics.crossed import seeds_interval
    from harness.statistics.intervals import Interval, mean_difference_interval

    entry = cases[0].kind(metric)
    intervals: list[Interval] = [(each.ci_low, each.ci_high) for each in measured]  # type: ignore[misc]
    low, high = (
        seeds_interval(seeds, intervals)
        if entry.interval and any(rated in case.metrics for case in cases)
        else mean_difference_interval(seeds)
    )
    if low is None or high is None:
        lows = [each.ci_low for each in measured if each.ci_low is not None]
        highs = [each.ci_high for each in measured if each.ci_high is not None]
        low, high = (fmean(lows), fmean(highs)) if lows and highs else (None, None)
    least, most = entry.bounds
    levels = [case.metrics[chance].value for case in cases if chance in case.metrics]
    return SweepPoint(
        word,
        fmean(seeds),
        low if low is None or least is None else max(low, least),
        high if high is None or most is None else min(high, most),
        seeds,
        fmean(levels) if levels else None,
    )


def _trend(ranks: Sequence[tuple[int, float]]) -> Trend | None:
    """None where nothing varies, and for fewer than three values."""
    if len(ranks) < 3 or len({value for _, value in ranks}) < 2:
        return None
    from scipy import stats

    found = stats.spearmanr([place for place, _ in ranks], [value for _, value in ranks])
    if math.isnan(float(found.statistic)):
        return None
    return Trend(float(found.statistic), float(found.pvalue))
