"""Gates: claims of a spec or of the command line, judged on the results of a run.

A gate that cannot be decided has failed: a claim that nothing tested does not hold.

| gate | holds when | undecided when |
| --- | --- | --- |
| `neutral_equals_baseline` | each neutral case was compared and is equal | none was run |
| `metric >= value` | `gate_threshold` | |
| `monotone within CI` | `gate_monotone` | |
| `no worse than SAVED by more than D` | `gate_no_worse` | |
| `same across AXIS` | `gate_same` | |

All but the first also: no such case or metric, or a case without numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from harness.claims.gate_cases import Undecided, more
from harness.claims.gate_monotone import monotone
from harness.claims.gate_no_worse import no_worse
from harness.claims.gate_same import same
from harness.claims.gate_threshold import threshold
from harness.claims.saved import SavedRun
from harness.errors import ReportError
from harness.spec.gate_expression import (
    NEUTRAL_EQUALS_BASELINE,
    Monotone,
    NeutralEqualsBaseline,
    SameAcross,
    Threshold,
    parse_gate,
)
from harness.store.results import UNDECIDED, CaseResult, GateResult, InvariantResult


def _no_saved_runs(name: str) -> SavedRun:
    raise ReportError(f"{name}: no saved runs at hand")


def check_gates(
    requested: Iterable[tuple[str, Sequence[str]]],
    results: Sequence[CaseResult],
    invariants: Sequence[InvariantResult],
    saved: Callable[[str], SavedRun] = _no_saved_runs,
) -> list[GateResult]:
    """Judge gates, given as `(experiment, its gates)`, in that order.

    Args:
        requested: Texts of gates; one that cannot be read has failed.
        results: Of all experiments; each gate looks at its own.
        invariants: What was checked in the same run.
        saved: Finds a saved run by its name, or raises ReportError.
    """
    verdicts = []
    for experiment, gates in requested:
        cases = [result for result in results if result.case.experiment.name == experiment]
        for gate in dict.fromkeys(gates):
            try:
                holds, detail = _verdict(gate, cases, invariants, saved)
            except (Undecided, ReportError, ValueError) as reason:
                holds, detail = False, f"{UNDECIDED}{reason}"
            verdicts.append(GateResult(gate, experiment, holds=holds, detail=detail))
    return verdicts


def _verdict(
    text: str,
    cases: Sequence[CaseResult],
    invariants: Sequence[InvariantResult],
    saved: Callable[[str], SavedRun],
) -> tuple[bool, str]:
    gate = parse_gate(text)
    if isinstance(gate, NeutralEqualsBaseline):
        return neutral_equals_baseline(cases, invariants)
    if isinstance(gate, Threshold):
        return threshold(gate, cases)
    if isinstance(gate, Monotone):
        return monotone(gate, cases)
    if isinstance(gate, SameAcross):
        return same(gate, cases)
    return no_worse(gate, cases, saved(gate.saved))


def neutral_equals_baseline(
    cases: Sequence[CaseResult], invariants: Sequence[InvariantResult]
) -> tuple[bool, str]:
    """Whether every neutral case of an experiment gave its baseline's completions, and why.

    It reads the invariants of this name. A neutral case without one was not decided, and neither
    was an experiment without a neutral case: both fail.
    """
    ids = {result.case.id for result in cases}
    relevant = [
        each for each in invariants if each.name == NEUTRAL_EQUALS_BASELINE and each.case in ids
    ]
    checked = {each.case for each in relevant}
    violated = [each for each in relevant if not each.holds]
    undecided = sorted({each.case.id for each in cases if each.is_neutral} - checked)
    if violated:
        return False, f"{violated[0].case}: {violated[0].detail}" + more(violated)
    if undecided:
        raise Undecided(f"{undecided[0]} was not compared with its baseline" + more(undecided))
    if not checked:
        raise Undecided("no neutral case was run; add the neutral dose to the axes")
    return True, f"{len(checked)} of {len(checked)} neutral cases equal their baseline"
