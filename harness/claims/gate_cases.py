"""What every gate starts from: the cases that it speaks of, and their values per sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import JsonValue

from harness.spec.form import suggestion
from harness.spec.gate_checks import selects
from harness.spec.gate_expression import Selection
from harness.store.results import CaseResult


class Undecided(Exception):  # noqa: N818 - not an error of the user's: a verdict
    """A gate that nothing decides; its text says why. It counts as failed, never as passed."""


def chosen(results: Sequence[CaseResult], where: Selection) -> list[CaseResult]:
    """The complete cases of one experiment that a gate speaks of.

    Raises:
        Undecided: there is none, or one of them has no numbers.
    """
    baselines = {result.baseline for result in results}
    cases = [
        result
        for result in results
        if selects(where, result.case.params, baseline=result.case.id in baselines)
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


def more(found: Sequence[object]) -> str:
    """` (and 3 more)` behind the first of several."""
    return f" (and {len(found) - 1} more)" if len(found) > 1 else ""
