"""`neutral_equals_baseline`: each neutral case was compared with its baseline, and is equal.

A neutral case that was not compared is undecided, and so is an experiment without a neutral case.
"""

from __future__ import annotations

from harness.claims.evidence import ClaimEvidence, Undecided, more
from harness.spec.gates import NEUTRAL_EQUALS_BASELINE, NeutralEqualsBaseline


def neutral_equals_baseline(
    _claim: NeutralEqualsBaseline, evidence: ClaimEvidence
) -> tuple[bool, str]:
    """Whether every neutral case gave its baseline's completions, by the invariants of this name.

    Raises:
        Undecided: a neutral case has no such invariant, or there is none.
    """
    ids = {result.case.id for result in evidence.cases}
    relevant = [
        each
        for each in evidence.invariants
        if each.name == NEUTRAL_EQUALS_BASELINE and each.case in ids
    ]
    checked = {each.case for each in relevant}
    violated = [each for each in relevant if not each.holds]
    undecided = sorted({each.case.id for each in evidence.cases if each.is_neutral} - checked)
    if violated:
        return False, f"{violated[0].case}: {violated[0].detail}" + more(violated)
    if undecided:
        raise Undecided(f"{undecided[0]} was not compared with its baseline" + more(undecided))
    if not checked:
        raise Undecided("no neutral case was run; add the neutral dose to the axes")
    return True, f"{len(checked)} of {len(checked)} neutral cases equal their baseline"
