"""`ed50(METRIC) >= DOSE`, `bmdl(METRIC, RESPONSE) >= DOSE`: every curve on one side of a number.

An ED_x is on a side with its whole interval; where the interval holds the number, nothing is
decided. A benchmark dose is claimed by its lower bound, which decides by itself: it is at least the
number, or the data do not exclude that harm begins below it.
"""

from __future__ import annotations

from harness.claims.evidence import (
    ClaimEvidence,
    Measured,
    Undecided,
    chosen,
    more,
    unmeasured,
    values_of,
)
from harness.report.doses import Dosed, dosed
from harness.spec.doses import beyond
from harness.spec.gates import DoseBound, Selection
from harness.statistics.dose_response import Curve, NoDose


def dose_bound(claim: DoseBound, evidence: ClaimEvidence) -> tuple[bool, str]:
    """Whether the claim holds of every curve, and the first of which it does not."""
    found = curves_of(evidence, claim.where, claim.metric)
    wrong, told = [], ""
    for curves in found:
        try:
            curve = curves.curve(claim.metric)
            holds, told = holds_of(claim, curve)
        except NoDose as reason:
            raise Undecided(f"{curves.named}{reason}") from reason
        if not holds:
            wrong.append(f"{curves.named}{told}")
    if wrong:
        return False, wrong[0] + more(wrong)
    return True, told if len(found) == 1 else f"{len(found)} of {len(found)} curves"


def curves_of(evidence: ClaimEvidence, where: Selection, *metrics: str) -> list[Dosed]:
    """The curves that a claim speaks of, whose cases have all of these metrics.

    Raises:
        Undecided: there is no such case or metric, or no case has a dose.
    """
    selected = chosen(evidence.cases, where)
    for case in selected:
        for metric in metrics:
            values_of(case, metric)
    axes = {case.case.experiment.name: case.case.experiment.dose or "" for case in selected}
    baselines = {case.baseline for case in selected}
    known = {case.case.id for case in selected}
    behind = [
        case for case in evidence.cases if case.case.id in baselines and case.case.id not in known
    ]
    found = dosed([*selected, *behind], axes)
    if not found:
        raise Undecided("no case has a dose")
    return found


def holds_of(claim: DoseBound, curve: Curve) -> tuple[bool, str]:
    """Whether the claim holds of a curve, and which dose it is.

    Raises:
        Undecided: its interval holds the number, or the number is no dose that was measured.
        NoDose: there is no such dose.
    """
    return (_safe if claim.of == "bmdl" else _effective)(claim, curve)


def unbounded(claim: DoseBound, measured: Measured) -> str:
    """That its metric is not measured, or can never change by so much; or nothing."""
    problem = unmeasured(claim.metric, measured)
    if problem or claim.response is None:
        return problem
    problem = beyond(claim.response, measured.kind(claim.metric).bounds)
    return problem and f"{claim.metric} {problem}"


def _effective(claim: DoseBound, curve: Curve) -> tuple[bool, str]:
    found = curve.effective_dose(int(claim.of.removeprefix("ed")) / 100)
    told = f"{claim.of.upper()} is {found.value:.4g} [{found.low:.4g}, {found.high:.4g}]"
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
