"""Gates: claims of a spec or of the command line, judged on the results of a run.

A gate that cannot be decided has failed: a claim that nothing tested does not hold. Each kind of
claim is judged in the file of its name; a new one is a line of `_JUDGES`, that file, and its text
in `harness.spec.gates`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.claims.dose_bound import dose_bound, unbounded
from harness.claims.evidence import ClaimEvidence, Measured, Undecided, unmeasured
from harness.claims.monotone import monotone
from harness.claims.neutral import neutral_equals_baseline
from harness.claims.no_worse import no_worse, undirected
from harness.claims.same_across import same_across
from harness.claims.saved import SavedRun
from harness.claims.threshold import threshold, unreachable
from harness.claims.window import never, window_exists
from harness.errors import ReportError
from harness.spec.gates import (
    DoseBound,
    Gate,
    Monotone,
    NeutralEqualsBaseline,
    NoWorse,
    SameAcross,
    Threshold,
    WindowExists,
)
from harness.store.results import UNDECIDED, CaseResult, GateResult, InvariantResult


@dataclass(frozen=True)
class _Judge:
    verdict: Callable[[Any, ClaimEvidence], tuple[bool, str]]
    """Whether a claim holds, and why; raises Undecided or ReportError where that is not known."""
    impossible: Callable[[Any, Measured], str] = lambda _claim, _measured: ""
    """Why a claim is never true, or never decided, of what is measured; else nothing."""


_JUDGES: Mapping[type, _Judge] = {
    NeutralEqualsBaseline: _Judge(neutral_equals_baseline),
    Threshold: _Judge(threshold, unreachable),
    Monotone: _Judge(monotone, lambda claim, measured: unmeasured(claim.metric, measured)),
    NoWorse: _Judge(no_worse, undirected),
    SameAcross: _Judge(same_across),
    DoseBound: _Judge(dose_bound, unbounded),
    WindowExists: _Judge(window_exists, never),
}


def check_gates(
    requested: Iterable[tuple[str, Sequence[Gate]]],
    results: Sequence[CaseResult],
    invariants: Sequence[InvariantResult],
    saved: Callable[[str], SavedRun] | None = None,
) -> list[GateResult]:
    """Judge gates, given as `(experiment, its gates)`, in that order.

    Args:
        requested: Each gate once per experiment; one that is there twice is judged once.
        results: Of all experiments; each gate looks at its own.
        invariants: What was checked in the same run.
        saved: Finds a saved run by its name, or raises ReportError.
    """
    verdicts = []
    for experiment, gates in requested:
        cases = [result for result in results if result.case.experiment.name == experiment]
        evidence = ClaimEvidence(cases, invariants, saved or _no_saved_runs)
        for gate in dict.fromkeys(gates):
            try:
                _check_fixed(gate.claim, cases)
                holds, detail = _JUDGES[type(gate.claim)].verdict(gate.claim, evidence)
            except (Undecided, ReportError) as reason:
                holds, detail = False, f"{UNDECIDED}{reason}"
            verdicts.append(GateResult(gate, experiment, holds=holds, detail=detail))
    return verdicts


def _check_fixed(claim: object, cases: Sequence[CaseResult]) -> None:
    """Raise Undecided for a claim that is judged by tests of a fixed number of samples, of a run
    that stopped itself.
    """
    stop = next((case.case.experiment.stop for case in cases if case.stopped is not None), None)
    if stop is None or isinstance(claim, NeutralEqualsBaseline | Threshold | SameAcross):
        return
    if isinstance(claim, DoseBound) and claim.of == "ed50":
        primary = cases[0].metric
        known = {each.metric or primary for each in stop.decisions if each.within}
        if claim.metric in known:
            return
    raise Undecided(
        "the run stopped itself, and this takes a fixed number of samples; leave stop out"
    )


def impossible(gate: Gate, measured: Measured) -> str:
    """Why a gate is never decided, or never true, of what these cases measure, if known; or "".

    Cases without a result do not say what they measure.
    """
    if not measured.metrics:
        return ""
    problem = _JUDGES[type(gate.claim)].impossible(gate.claim, measured)
    return problem and f"{gate.text!r}: {problem}"


def _no_saved_runs(name: str) -> SavedRun:
    raise ReportError(f"{name}: no saved runs at hand")
