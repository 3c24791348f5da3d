"""`window(TARGET, CAPABILITY) exists`: shown by every curve that all of ED50 lies below BMDL.

A window is not shown where ED50's interval begins above BMDL, and undecided where BMDL lies in it.
"""

from __future__ import annotations

from harness.claims.dose_bound import curves_of
from harness.claims.evidence import ClaimEvidence, Measured, Undecided, more, unmeasured
from harness.metrics.lookup import kind_of
from harness.report.dose_report import WindowReport
from harness.report.doses import window_of
from harness.spec.doses import beyond
from harness.spec.gates import WindowExists


def window_exists(claim: WindowExists, evidence: ClaimEvidence) -> tuple[bool, str]:
    """Whether every curve shows a window, and the first that does not."""
    found = curves_of(evidence, claim.where, claim.target, claim.capability)
    wrong, told = [], ""
    for curves in found:
        between = window_of(curves, claim.target, claim.capability, claim.response)
        told = curves.named + _told(between)
        if between.state in ("undecided", "refused"):
            raise Undecided(told)
        if between.state == "none":
            wrong.append(told)
    if wrong:
        return False, wrong[0] + more(wrong)
    return True, told if len(found) == 1 else f"{len(found)} of {len(found)} curves"


def never(claim: WindowExists, measured: Measured) -> str:
    """That a metric is not measured, has no worse, or never changes by so much; or nothing."""
    for metric in (claim.target, claim.capability):
        if problem := unmeasured(metric, measured):
            return problem
    kind = kind_of(measured.case.experiment, claim.capability)
    if kind.good == "neither":
        return f"{claim.capability} has no better or worse, so that nothing of it can be lost"
    problem = beyond(claim.response, kind.bounds)
    return problem and f"{claim.capability} {problem}"


def _told(between: WindowReport) -> str:
    if between.ed50 is None:
        return str(between.why)
    ed50 = f"{between.ed50.value:.4g} [{between.ed50.low:.4g}, {between.ed50.high:.4g}]"
    safe = f"above {between.highest:g}" if between.lower is None else f"{between.lower:.4g}"
    return f"ED50 of {between.target} is {ed50}, BMDL of {between.capability} {safe}"
