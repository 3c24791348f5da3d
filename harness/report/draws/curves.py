"""The curves of an analysis: means over samples with intervals, paired with a baseline at every x.

Intervals are those of every metric (`statistics/paired.py`): of the mean over samples, and of the
mean difference over the samples that both have.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.report.draws.analyses import ANALYSES, Analysis, Marks, Values, X
from harness.report.draws.drawn import SampleDraws, Samples
from harness.statistics.intervals import CONFIDENCE
from harness.statistics.paired import paired_interval, summarise

Bounds = tuple[float | None, float | None]
_NONE: Bounds = (None, None)


@dataclass(frozen=True)
class CurvePoint:
    """A curve at one x, over `n` samples; without a baseline there is no difference from it."""

    x: X
    value: float
    interval: Bounds
    n: int
    delta: float | None = None
    delta_interval: Bounds = _NONE


@dataclass(frozen=True)
class AnalysisCurves:
    """An analysis of some cases: label -> points.

    `baseline` is the label of what all that are compared are compared with; empty where cases have
    baselines of their own, None where nothing is compared.
    """

    analysis: Analysis
    curves: Mapping[str, tuple[CurvePoint, ...]]
    baseline: str | None

    @property
    def places(self) -> dict[X, float]:
        """Where each x stands: at itself where all are numbers, else side by side."""
        listed = dict.fromkeys(point.x for points in self.curves.values() for point in points)
        numbers = [x for x in listed if isinstance(x, float | int)]
        texts = [x for x in listed if isinstance(x, str)]
        if not texts:
            return {x: float(x) for x in sorted(numbers)}
        order: list[X] = [*sorted(numbers), *sorted(texts, key=_after)]
        return {x: float(at) for at, x in enumerate(order)}


def _after(x: str) -> tuple[bool, bool, float]:
    """Sorts cuts by their number, then what lies above all of them, then all."""
    number = x.strip("≤>+ ")
    return x == "all", x.startswith(">"), float(number) if number[:1].isdigit() else 0.0


def drawings(cases: Mapping[str, Samples], baselines: Mapping[str, str]) -> list[AnalysisCurves]:
    """Every analysis that these cases have something to say to.

    Args:
        cases: The draws of each case, by the case's label.
        baselines: By the label of a case, that of the one that it is compared with.
    """
    marks = Marks.of(cases.values())
    found = []
    told = {label: _values(samples, marks) for label, samples in cases.items()}
    for analysis in ANALYSES:
        values = {label: each[analysis.name] for label, each in told.items()}
        curves = {
            label: tuple(
                _point(analysis, x, own, values.get(baselines.get(label, ""), {}).get(x))
                for x, own in each.items()
            )
            for label, each in values.items()
            if each
        }
        if curves:
            compared = {baselines[label] for label in curves if label in baselines}
            baseline = next(iter(compared)) if len(compared) == 1 else ""
            found.append(AnalysisCurves(analysis, curves, baseline if compared else None))
    return found


def _values(samples: Samples, marks: Marks) -> dict[str, Values]:
    """What all analyses say of a case, by name.

    What draws are worth in their orders is many times as large as the draws: it is shared by the
    analyses of one case, and gone before the next.
    """
    own = {name: SampleDraws(each.drawn) for name, each in samples.items()}
    return {analysis.name: analysis.of(own, marks) for analysis in ANALYSES}


def _point(
    analysis: Analysis, x: X, own: Mapping[str, float], theirs: Mapping[str, float] | None
) -> CurvePoint:
    of_all = summarise(own, analysis.y)
    interval = of_all.ci_low, of_all.ci_high
    both = [] if theirs is None else [name for name in own if name in theirs]
    if theirs is None or not both:
        return CurvePoint(x, of_all.value, interval, len(own))
    mine, others = ({name: each[name] for name in both} for each in (own, theirs))
    delta = sum(mine[name] - others[name] for name in both) / len(both)
    apart = paired_interval(mine, others, CONFIDENCE, analysis.y)
    return CurvePoint(x, of_all.value, interval, len(own), delta, apart)
