"""`metric >= value`: the mean of every case, or a bound of its interval, on one side of a number.

A claim about a mean is one about what was measured. It is undecided where the samples are so few
that not even the best outcome (all right for `>=`, none for `<=`) would have put its whole interval
on that side: there a mean on the right side is chance. A claim of all or none (`pass@1 >= 1`,
`parsed <= 0`) and one of equality speak of the samples themselves and need no interval; `.ci_low`
and `.ci_high` are the interval. One sample decides nothing at all.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable

import numpy as np

from harness.claims.evidence import (
    ClaimEvidence,
    Measured,
    Undecided,
    chosen,
    more,
    unmeasured,
    values_of,
)
from harness.spec.gates import Threshold
from harness.statistics.intervals import rate_interval
from harness.statistics.paired import summarise
from harness.statistics.sequential import mean_sequence
from harness.store.results import CaseResult

_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
    "==": lambda one, other: math.isclose(one, other, abs_tol=1e-12),
}


def threshold(claim: Threshold, evidence: ClaimEvidence) -> tuple[bool, str]:
    """Whether the claim holds of every case, and the first of which it does not.

    Raises:
        Undecided: no such case or metric, or too few samples in a case that is on the right side.
    """
    compare = _OPERATORS[claim.operator]
    missed, selected = [], chosen(evidence.cases, claim.where)
    few = ""
    for case in selected:
        if case.stopped is not None:
            told = _stopped(claim, case, len(selected))
            missed += [told] if told else []
            continue
        metric = summarise(values_of(case, claim.metric), case.kind(claim.metric))
        number = getattr(metric, claim.bound)
        if number is None or metric.n < 2:
            raise Undecided(
                f"{case.case.id}: {_counted(metric.n)} too few, or too alike, for an interval"
            )
        if not compare(number, claim.value):
            missed.append(f"{case.case.id}: {_named(claim)} is {number:.4g}, n = {metric.n}")
        elif not few and case.kind(claim.metric).share and not could_show(claim, metric.n):
            few = (
                f"{case.case.id}: {_counted(metric.n)} too few; with all of them "
                f"{'right' if upwards(claim) else 'wrong'} the interval would still "
                f"{_best(claim, metric.n)}"
            )
    if missed:
        return False, missed[0] + more(missed)
    if few:
        raise Undecided(few)
    return True, f"{len(selected)} of {len(selected)} cases"


def _stopped(claim: Threshold, case: CaseResult, cases: int) -> str:
    """What is missed by a case of a run that stopped itself; empty where the claim holds.

    The benchmark's own mean lies on a side if its confidence sequence does, whenever one stops.

    Raises:
        Undecided: the number lies in it, or the metric has no bounds.
    """
    low, high = case.kind(claim.metric).bounds
    stopped = case.stopped
    assert stopped is not None
    if low is None or high is None or claim.operator == "==":
        raise Undecided(f"{case.case.id} stopped itself, and this takes all samples")
    values = np.array([*case.numbers(claim.metric).values()])
    size = stopped.of if claim.bound == "value" else None
    first, last = mean_sequence(values, (low, high), stopped.alpha / cases, size)
    told = f"{case.case.id}: {claim.metric} lies in [{first:.3g}, {last:.3g}]"
    compare = _OPERATORS[claim.operator]
    if compare(first if upwards(claim) else last, claim.value):
        return ""
    if not compare(last if upwards(claim) else first, claim.value):
        return f"{told} of {stopped.of} samples, of which {len(values)} were asked"
    raise Undecided(f"{told}, which holds {claim.value:g}")


def unreachable(claim: Threshold, measured: Measured) -> str:
    """That its metric is not measured, or is a share and never there; or nothing."""
    problem = unmeasured(claim.metric, measured)
    if problem:
        return problem
    metric = measured.kind(claim.metric)
    value = f"{claim.value:g}"
    if not metric.share:
        return _out_of_bounds(claim, metric.bounds)
    if not 0 <= claim.value <= 1:
        percent = f"; {value} % is {claim.value / 100:g}" if 1 < claim.value <= 100 else ""
        return f"{claim.metric} is a share, between 0 and 1, and never {value}{percent}"
    if (claim.operator, claim.value) in {(">", 1), ("<", 0)}:
        beyond = "above 1" if claim.value else "below 0"
        return (
            f"{claim.metric} is a share and never {beyond}; write "
            f"{claim.metric} {claim.operator}= {value}"
        )
    return ""


def _out_of_bounds(claim: Threshold, bounds: tuple[float | None, float | None]) -> str:
    """Why the metric, a number and not a share, can never reach the value; empty if it can."""
    low, high = bounds
    if low is not None and claim.value < low and claim.operator not in {">", ">="}:
        return (
            f"{claim.metric} is never below {low:g}, and so never {claim.operator} {claim.value:g}"
        )
    if high is not None and claim.value > high and claim.operator not in {"<", "<="}:
        return (
            f"{claim.metric} is never above {high:.4g}, and so never {claim.operator} "
            f"{claim.value:g}"
        )
    return ""


def could_show(claim: Threshold, n: int) -> bool:
    """Whether the interval of the best outcome of `n` samples lies wholly on the claim's side."""
    if claim.bound != "value" or claim.operator == "==":
        return True
    if claim.value >= 1 if upwards(claim) else claim.value <= 0:
        return True
    low, high = _extreme(claim, n)
    return _OPERATORS[claim.operator](low if upwards(claim) else high, claim.value)


def _best(claim: Threshold, n: int) -> str:
    low, high = _extreme(claim, n)
    return f"begin at {low:.2f}" if upwards(claim) else f"end at {high:.2f}"


def _extreme(claim: Threshold, n: int) -> tuple[float, float]:
    low, high = rate_interval(n if upwards(claim) else 0, n)
    assert low is not None
    assert high is not None
    return low, high


def upwards(claim: Threshold) -> bool:
    """Whether it says that the metric is large enough."""
    return claim.operator in {">=", ">"}


def _counted(n: int) -> str:
    return "1 sample is" if n == 1 else f"{n} samples are"


def _named(claim: Threshold) -> str:
    return claim.metric if claim.bound == "value" else f"{claim.metric}.{claim.bound}"
