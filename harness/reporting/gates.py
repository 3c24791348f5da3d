"""Gates: claims of a spec, judged from the invariants that were checked in the same run.

A gate that cannot be decided has failed: a claim that nothing tested does not hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from harness.runs.results import CaseResult, GateResult, InvariantResult

NEUTRAL_EQUALS_BASELINE = "neutral_equals_baseline"


def check_gates(
    requested: Iterable[tuple[str, Sequence[str]]],
    results: Sequence[CaseResult],
    invariants: Sequence[InvariantResult],
) -> list[GateResult]:
    """Judge gates, given as `(experiment, its gates)`, in that order; an unknown one has failed."""
    return [
        neutral_equals_baseline(experiment, results, invariants)
        if gate == NEUTRAL_EQUALS_BASELINE
        else GateResult(
            gate, experiment, holds=False, detail=f"unknown; known: {NEUTRAL_EQUALS_BASELINE}"
        )
        for experiment, gates in requested
        for gate in dict.fromkeys(gates)
    ]


def neutral_equals_baseline(
    experiment: str, results: Sequence[CaseResult], invariants: Sequence[InvariantResult]
) -> GateResult:
    """Whether every neutral case of an experiment gave its baseline's completions.

    It reads the invariants of this name. A neutral case without one was not decided, and neither
    was an experiment without a neutral case: both fail.
    """
    cases = [result for result in results if result.case.experiment.name == experiment]
    ids = {result.case.id for result in cases}
    relevant = [
        each for each in invariants if each.name == NEUTRAL_EQUALS_BASELINE and each.case in ids
    ]
    checked = {each.case for each in relevant}
    violated = [each for each in relevant if not each.holds]
    undecided = sorted({each.case.id for each in cases if each.is_neutral} - checked)
    if violated:
        detail = f"{violated[0].case}: {violated[0].detail}" + _more(violated)
    elif undecided:
        detail = f"undecided: {undecided[0]} was not compared with its baseline" + _more(undecided)
    elif not checked:
        detail = "undecided: no neutral case was run; add the neutral dose to the axes"
    else:
        detail = f"{len(checked)} of {len(checked)} neutral cases equal their baseline"
    holds = bool(checked) and not violated and not undecided
    return GateResult(NEUTRAL_EQUALS_BASELINE, experiment, holds=holds, detail=detail)


def _more(found: Sequence[object]) -> str:
    return f" (and {len(found) - 1} more)" if len(found) > 1 else ""
