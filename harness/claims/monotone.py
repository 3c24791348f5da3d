"""`monotone within CI`: no dose-response turns back by more than chance explains.

Of every curve (the cases that differ in their dose alone) each two doses are compared, paired by
sample, by an interval of their difference. A curve falls within CI when no higher dose lies above a
lower one with its whole interval, and rises within CI when none lies below; without a direction one
of the two has to be true. The intervals of a curve are Bonferroni-corrected for the number of its
pairs, so that a curve that is monotone in truth fails in at most 5 % of runs.

Undecided: fewer than three doses (two, with a direction), or so few samples that not even a change
of every one of them would lie beyond its interval.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import combinations

from scipy import stats

from harness.claims.evidence import ClaimEvidence, Undecided, chosen, values_of
from harness.report.labels import label, short_names
from harness.spec.gates import Monotone
from harness.statistics.intervals import CONFIDENCE
from harness.statistics.paired import paired_interval
from harness.store.results import CaseResult, compared

Turn = tuple[CaseResult, CaseResult, float, float]


def monotone(claim: Monotone, evidence: ClaimEvidence) -> tuple[bool, str]:
    """Whether every curve is monotone, and the turns that say it is not."""
    curves: dict[str, list[CaseResult]] = {}
    for case in chosen(evidence.cases, claim.where):
        if case.case.dose is None:
            raise Undecided(f"{case.case.id} has no dose")
        others = {axis: value for axis, value in case.case.params.items() if axis != _axis(case)}
        curves.setdefault(json.dumps(others, sort_keys=True), []).append(case)
    widest = 0.0
    for curve in curves.values():
        curve.sort(key=lambda case: case.case.dose or 0.0)
        rises, falls, half = _turns(curve, claim)
        widest = max(widest, half)
        wrong = {"falling": rises, "rising": falls}.get(claim.direction or "", [])
        if claim.direction is None and rises and falls:
            wrong = [rises[0], falls[0]]
        if wrong:
            return False, _described(curve[0]) + ", and ".join(_told(turn) for turn in wrong[:2])
    doses = max(len(curve) for curve in curves.values())
    return True, (
        f"{len(curves)} curve{'s' if len(curves) != 1 else ''} of up to {doses} doses; the widest "
        f"interval of a difference is ±{widest:.2g}"
    )


def _turns(curve: Sequence[CaseResult], claim: Monotone) -> tuple[list[Turn], list[Turn], float]:
    """Rises and falls beyond their intervals, and half the width of the widest interval."""
    needed = 2 if claim.direction else 3
    if len(curve) < needed:
        raise Undecided(f"{len(curve)} doses; at least {needed} are needed to see a turn")
    pairs = list(combinations(curve, 2))
    confidence = 1 - (1 - CONFIDENCE) / len(pairs)
    # Tango's interval excludes 0 for `n` changes in one direction where n > z².
    fewest = int(stats.norm.ppf((1 + confidence) / 2) ** 2) + 1
    rises, falls, widest = [], [], 0.0
    for low, high in pairs:
        metric = claim.metric or high.metric
        values_of(low, metric), values_of(high, metric)  # measured in both, or undecided
        after, before = compared(high, low, metric)
        if len(after) < fewest:
            raise Undecided(f"{len(after)} samples; at least {fewest} could show a turn")
        least, most = paired_interval(after, before, confidence, high.kind(metric))
        if least is None or most is None:
            if before == after:
                continue
            raise Undecided(f"{high.case.id}: differences too alike for an interval")
        widest = max(widest, (most - least) / 2)
        if least > 0:
            rises.append((low, high, least, most))
        if most < 0:
            falls.append((low, high, least, most))
    return rises, falls, widest


def _axis(case: CaseResult) -> str:
    return case.case.experiment.dose or ""


def _described(case: CaseResult) -> str:
    """The curve's own parameters in front, where there are others than the dose."""
    others = {axis: value for axis, value in case.case.params.items() if axis != _axis(case)}
    named = label(others, short_names(list(others)))
    return f"{named}: " if named else ""


def _told(turn: Turn) -> str:
    low, high, least, most = turn
    way = "rises" if least > 0 else "falls"
    return f"{way} from dose {low.case.dose:g} to {high.case.dose:g} by [{least:+.3f}, {most:+.3f}]"
