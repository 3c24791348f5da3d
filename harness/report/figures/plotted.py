"""What figures of cases have in common: points with intervals, and the words around them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.report.figures.curves import is_control
from harness.report.labels import label, varying
from harness.report.report import CaseReport, RunReport
from harness.report.subject import subject
from harness.statistics.estimates import Metric

SIGNIFICANT = 0.05


@dataclass(frozen=True)
class PlottedPoint:
    """A complete case, one of its metrics, and the place on the dose axis where it is drawn."""

    at: float
    case: CaseReport
    name: str

    @property
    def metric(self) -> Metric:
        """Value and interval."""
        return self.case.metrics[self.name]

    @property
    def low(self) -> float:
        """Lower end of the interval; the value itself where there is none."""
        return self.metric.value if self.metric.ci_low is None else self.metric.ci_low

    @property
    def high(self) -> float:
        """Upper end of the interval; the value itself where there is none."""
        return self.metric.value if self.metric.ci_high is None else self.metric.ci_high

    @property
    def errors(self) -> tuple[list[float], list[float]]:
        """Lengths of the error bars, as matplotlib takes them."""
        value = self.metric.value
        return [max(0.0, value - self.low)], [max(0.0, self.high - value)]

    @property
    def significant(self) -> bool:
        """Whether it differs from its baseline."""
        versus = self.case.versus_baseline.get(self.name)
        return versus is not None and versus.deciding_p < SIGNIFICANT


def complete(report: RunReport, experiment: str) -> list[CaseReport]:
    """The cases to draw: those that have their primary metric."""
    return [case for case in report.experiment(experiment) if case.metric in case.metrics]


def are_rates(cases: Sequence[CaseReport], metric: str) -> bool:
    """Whether all values with their intervals are between 0 and 1."""
    points = [PlottedPoint(0.0, case, metric) for case in cases]
    return all(point.low >= 0 and point.high <= 1 for point in points)


def subtitle(report: RunReport, experiment: str) -> str:
    """Models, tasks, number of samples and selection of an experiment."""
    return "  \N{MIDDLE DOT}  ".join(subject(report, experiment))


def caption(
    report: RunReport,
    experiment: str,
    *,
    baseline: str,
    control: str = "",
    several: str = "",
    fitted: str = "",
) -> str:
    """How to read the figure, and what is not in it.

    Args:
        report: The whole report.
        experiment: What is drawn.
        baseline: What a baseline is drawn as.
        control: What a random control is drawn as.
        several: How curves that meet are told apart.
        fitted: What Hill's curve is drawn as, where one is.
    """
    cases = report.experiment(experiment)
    drawn = complete(report, experiment)
    parts = ["Bars: 95 % intervals."]
    if several:
        parts.append(several)
    if any(case.id in report.baselines for case in drawn):
        parts.append(f"{baseline}: baseline.")
    if control and any(is_control(case) for case in drawn):
        parts.append(f"{control}: random control.")
    if fitted:
        parts.append(f"{fitted}: Hill's curve.")
    compared = [versus for case in drawn for versus in case.versus_baseline.values()]
    if compared:
        plain = any(versus.p_holm is None for versus in compared)
        which = "p (not corrected)" if plain else "p Holm"
        which = f"anytime {which}" if any(versus.anytime for versus in compared) else which
        parts.append(f"Filled: {which} < {SIGNIFICANT:g} versus baseline.")
    if any(each.loel is not None for each in report.doses if each.experiment == experiment):
        parts.append("NOEL: Holm over its curve alone.")
    missing = len(cases) - len(drawn)
    if missing:
        parts.append(f"Left out: {missing} of {len(cases)} cases, not complete.")
    return "  ".join(parts)


def labels(report: RunReport, experiment: str) -> dict[str, str]:
    """What tells each case from the others of its experiment, by its id."""
    cases = report.experiment(experiment)
    axes = varying(cases, always=dose_axis_of(cases))
    baselines = report.baselines
    found = {}
    for case in cases:
        parts = ["baseline"] if case.id in baselines else []
        parts += [label(case.params, axes)] if axes else []
        found[case.id] = ", ".join(part for part in parts if part) or case.id
    return found


def dose_axis_of(cases: Sequence[CaseReport]) -> str | None:
    """The axis of the dose, where the cases have one."""
    return next((case.dose_axis for case in cases if case.dose_axis is not None), None)
