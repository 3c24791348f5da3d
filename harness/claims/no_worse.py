"""`no worse than SAVED by more than D (paired, p < A)`: non-inferiority, shown rather than assumed.

Each case is paired by sample with the case of the same id in the saved run, by its gain: own minus
saved, or saved minus own where lower is better (`measure.metrics`). It holds when "worse by D or
more" is rejected one-sided at A, which is when the lower bound of the gain's interval at confidence
1 - 2A lies above -D (for 0/1 values Tango's score test, for which that interval was made). It is
violated when the upper bound lies below -D. Between the two the samples are too few to tell, and
the gate is undecided. All cases have to hold, so that their number needs no correction (an
intersection-union test: Berger 1982, Technometrics 24:295).
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
from harness.claims.saved import SavedRun
from harness.errors import ReportError
from harness.metrics.lookup import directionless
from harness.spec.gates import NoWorse
from harness.statistics.paired import paired_interval
from harness.store.results import CaseResult


def no_worse(claim: NoWorse, evidence: ClaimEvidence) -> tuple[bool, str]:
    """Whether every case is no worse than its saved one, and the first that is not."""
    saved = evidence.saved(claim.saved)
    worse, unclear, shown = [], [], 0
    for case in chosen(evidence.cases, claim.where):
        low, high = _interval(claim, case, saved)
        told = f"{case.case.id}: [{low:+.3f}, {high:+.3f}] from {saved.name}"
        loss = case.kind(claim.metric or case.metric).good == "lower"
        least, most = (-high, -low) if loss else (low, high)
        if most < -claim.margin:
            worse.append(told)
        elif least <= -claim.margin:
            excluded = f"{'+' if loss else '-'}{claim.margin:g}"
            unclear.append(f"{told}; {case.task_size} samples are too few to exclude {excluded}")
        else:
            shown += 1
    if worse:
        return False, worse[0] + more(worse)
    if unclear:
        raise Undecided(unclear[0] + more(unclear))
    return True, f"{shown} of {shown} cases, from {saved.name}"


def undirected(claim: NoWorse, measured: Measured) -> str:
    """That its metric is not measured, or that nothing in it is worse; or nothing."""
    metric = claim.metric or measured.metrics[0]
    problem = unmeasured(metric, measured)
    if problem or measured.kind(metric).good != "neither":
        return problem
    return f"{directionless(metric)}; bound it instead, such as {metric} <= 1"


def _interval(claim: NoWorse, case: CaseResult, saved: SavedRun) -> tuple[float, float]:
    own_id = case.case.id
    theirs = saved.case(own_id)
    if theirs is None:
        raise Undecided(f"{saved.name} has no case {own_id}")
    if (theirs.task.name, theirs.task.version) != (case.task_name, case.task_version):
        raise Undecided(
            f"{own_id}: task {case.task_name} version {case.task_version}, but {saved.name} has "
            f"{theirs.task.name} version {theirs.task.version}"
        )
    metric = claim.metric or case.metric
    kind = case.kind(metric)
    if kind.good == "neither":
        raise Undecided(directionless(metric))
    own = values_of(case, metric)
    other = saved.values.get(own_id, {}).get(metric)
    if other is None:
        raise Undecided(f"{saved.name} has no {metric} of {own_id}")
    if theirs.contents.get(metric) not in (None, case.contents.get(metric)):
        raise Undecided(f"{saved.name} counted {metric} by other settings or files")
    if metric in case.contents:  # a sample that failed in one of the runs is left out of both
        shared = own.keys() & other.keys()
        own, other = ({sample: side[sample] for sample in sorted(shared)} for side in (own, other))
    try:
        low, high = paired_interval(own, other, 1 - 2 * claim.alpha, kind)
    except ReportError as error:
        raise Undecided(f"{own_id}: {error}") from None
    if low is None and own == other and len(own) > 1:
        return 0.0, 0.0  # numbers that are equal in every sample: nothing changed
    if low is None or high is None:
        raise Undecided(f"{own_id}: differences too alike for an interval")
    return low, high
