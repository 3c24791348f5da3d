"""`ed50(METRIC) >= DOSE`, `bmdl(METRIC, RESPONSE) >= DOSE`: every curve on one side of a number.

An ED50 is on a side with its whole interval; where the interval holds the number, nothing is
decided. A benchmark dose is claimed by its lower bound, which decides by itself: it is at least the
number, or the data do not exclude that harm begins below it.
"""

from __future__ import annotations

from harness.claims.evidence import (
    Evidence,
    Measured,
    Undecided,
    chosen,
    more,
    unmeasured,
    values_of,
)
from harness.report.doses import Dosed, dosed
from harness.spec.gates import DoseBound
from harness.statistics.dose_response import Curve, NoDose


def dose_bound(claim: DoseBound, evidence: Evidence) -> tuple[bool, str]:
    """Whether the claim holds of every curve, and the first of which it does not."""
    selected = chosen(evidence.cases, claim.where)
    for case in selected:
        values_of(case, claim.metric)
    axes = {case.case.experiment.name: case.case.experiment.dose or "" for case in selected}
    baselines = {case.baseline for case in selected}
    known = {case.case.id for case in selected}
    behind = [
        case for case in evidence.cases if case.case.id in baselines and case.case.id not in known
    ]
    found = dosed([*selected, *behind], axes)
    if not found:
        raise Undecided("no case has a dose")
    wrong, told = [], ""
    for curves in found:
        try:
            curve = curves.curve(claim.metric)
            holds, told = (_half if claim.of == "ed50" else _safe)(claim, curve)
        except NoDose as reason:
            raise Undecided(f"{_named(curves)}{reason}") from reason
        if not holds:
            wrong.append(f"{_named(curves)}{told}")
    if wrong:
        return False, wrong[0] + more(wrong)
    return True, told if len(found) == 1 else f"{len(found)} of {len(found)} curves"


def unbounded(claim: DoseBound, measured: Measured) -> str:
    """That its metric is not measured, or can never change by so much; or nothing."""
    problem = unmeasured(claim.metric, measured)
    if problem or claim.response is None:
        return problem
    low, high = measured.kind(claim.metric).bounds
    if low is not None and high is not None and claim.response >= high - low:
        return f"{claim.metric} lies between {low:g} and {high:g} and never changes by so much"
    return ""


def _half(claim: DoseBound, curve: Curve) -> tuple[bool, str]:
    found = curve.effective_dose()
    told = f"ED50 is {found.value:.4g} [{found.low:.4g}, {found.high:.4g}]"
    above = claim.operator == ">="
    if found.low >= claim.dose if above else found.high <= claim.dose:
        return True, told
    if found.high < claim.dose if above else found.low > claim.dose:
        return False, told
    raise Undecided(f"{told}, which holds {claim.dose:g}")


def _safe(claim: DoseBound, curve: Curve) -> tuple[bool, str]:
    assert claim.response is not None
    if claim.dose > curve.doses[-1]:
        raise Undecided(f"{curve.doses[-1]:g} is the highest dose; {claim.dose:g} was not measured")
    found = curve.benchmark(claim.response)
    if found.lower is None:
        return True, f"BMDL is above {curve.doses[-1]:g}, the highest dose"
    return found.lower >= claim.dose, f"BMDL is {found.lower:.4g}"


def _named(curves: Dosed) -> str:
    named = ", ".join(f"{axis.rpartition('.')[2]}={value}" for axis, value in curves.params.items())
    return f"{named}: " if named else ""
