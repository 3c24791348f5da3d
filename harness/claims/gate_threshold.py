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
from collections.abc import Callable, Sequence

from harness.claims.gate_cases import Undecided, chosen, more, values_of
from harness.spec.gate_expression import Threshold
from harness.statistics.intervals import rate_interval
from harness.statistics.paired import summarise
from harness.store.results import CaseResult

_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
    "==": lambda one, other: math.isclose(one, other, abs_tol=1e-12),
}


def threshold(gate: Threshold, cases: Sequence[CaseResult]) -> tuple[bool, str]:
    """Whether the claim holds of every case, and the first of which it does not.

    Raises:
        Undecided: no such case or metric, or too few samples in a case that is on the right side.
    """
    compare = _OPERATORS[gate.operator]
    missed, selected = [], chosen(cases, gate.where)
    few = ""
    for case in selected:
        metric = summarise(values_of(case, gate.metric), case.kind(gate.metric))
        number = getattr(metric, gate.bound)
        if number is None or metric.n < 2:
            raise Undecided(
                f"{case.case.id}: {_counted(metric.n)} too few, or too alike, for an interval"
            )
        if not compare(number, gate.value):
            missed.append(f"{case.case.id}: {_named(gate)} is {number:.4g}, n = {metric.n}")
        elif not few and case.kind(gate.metric).share and not _could_show(gate, metric.n):
            few = (
                f"{case.case.id}: {_counted(metric.n)} too few; with all of them "
                f"{'right' if _upwards(gate) else 'wrong'} the interval would still "
                f"{_best(gate, metric.n)}"
            )
    if missed:
        return False, missed[0] + more(missed)
    if few:
        raise Undecided(few)
    return True, f"{len(selected)} of {len(selected)} cases"


def _could_show(gate: Threshold, n: int) -> bool:
    """Whether the interval of the best outcome of `n` samples lies wholly on the gate's side."""
    if gate.bound != "value" or gate.operator == "==":
        return True
    if gate.value >= 1 if _upwards(gate) else gate.value <= 0:
        return True
    low, high = _extreme(gate, n)
    return _OPERATORS[gate.operator](low if _upwards(gate) else high, gate.value)


def _best(gate: Threshold, n: int) -> str:
    low, high = _extreme(gate, n)
    return f"begin at {low:.2f}" if _upwards(gate) else f"end at {high:.2f}"


def _extreme(gate: Threshold, n: int) -> tuple[float, float]:
    low, high = rate_interval(n if _upwards(gate) else 0, n)
    assert low is not None
    assert high is not None
    return low, high


def _upwards(gate: Threshold) -> bool:
    return gate.operator in {">=", ">"}


def _counted(n: int) -> str:
    return "1 sample is" if n == 1 else f"{n} samples are"


def _named(gate: Threshold) -> str:
    return gate.metric if gate.bound == "value" else f"{gate.metric}.{gate.bound}"
