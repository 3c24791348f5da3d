"""What a claim is judged on: results, invariants, saved runs, and the cases that it speaks of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pydantic import JsonValue

from harness.claims.saved import SavedRun
from harness.metrics.entry import MetricEntry
from harness.spec import Case
from harness.spec.gates import Selection
from harness.spec.measure import measure_named
from harness.spec.suggestion import suggestion
from harness.store.results import CaseResult, InvariantResult


class Measured(Protocol):
    """A case that is planned or has ended."""

    @property
    def case(self) -> Case:
        """The case of the spec."""

    @property
    def metrics(self) -> Sequence[str]:
        """Names of what it measures, the primary one first; none where it has no result."""

    def kind(self, metric: str) -> MetricEntry:
        """What one of them is."""


@dataclass(frozen=True)
class ClaimEvidence:
    """The results of one experiment, the invariants of its run, and where saved runs are found."""

    cases: Sequence[CaseResult]
    invariants: Sequence[InvariantResult]
    saved: Callable[[str], SavedRun]
    """Finds a saved run by its name, or raises ReportError."""


class Undecided(Exception):  # noqa: N818 - not an error of the user's: a verdict
    """A gate that nothing decides; its text says why. It counts as failed, never as passed."""


def chosen(results: Sequence[CaseResult], where: Selection) -> list[CaseResult]:
    """The complete cases of one experiment that a gate speaks of.

    Raises:
        Undecided: there is no such case, or one of them has no numbers.
    """
    baselines = {result.baseline for result in results}
    cases = [
        result
        for result in results
        if where.selects(result.case.params, baseline=result.case.id in baselines)
    ]
    if not cases:
        raise Undecided("no such case was run")
    missing = [case for case in cases if case.status != "complete"]
    if missing:
        raise Undecided(f"{missing[0].case.id} is {missing[0].status}{more(missing)}")
    return cases


def values_of(result: CaseResult, metric: str) -> Mapping[str, JsonValue]:
    """A case's value per sample; raises Undecided where the metric was not measured."""
    if metric not in result.sample_metrics:
        names = ", ".join(result.sample_metrics)
        raise Undecided(
            f"no metric {metric!r};{suggestion(metric, result.sample_metrics)} measured: {names}"
        )
    return result.sample_metrics[metric]


def unmeasured(metric: str | None, measured: Measured) -> str:
    """Why a case does not measure a claim's metric; empty if it does."""
    names = measured.metrics
    if metric is None or metric in names:
        return ""
    experiment = measured.case.experiment
    reads = measure_named(experiment.measure).reads
    return (
        f"{f'measure: {experiment.measure}' if reads else experiment.task.title} has no metric "
        f"{metric!r};"
        f"{suggestion(metric, names)} it measures {', '.join(names)}"
    )


def more(found: Sequence[object]) -> str:
    """` (and 3 more)` behind the first of several."""
    return f" (and {len(found) - 1} more)" if len(found) > 1 else ""
