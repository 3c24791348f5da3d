"""What earlier reports of the same results were judged by, and what they found: to judge anew."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from harness.claims.claims import Claims, read_gates
from harness.errors import ReportError
from harness.report.report import GateReport, RunReport
from harness.spec.gates import ChangeRule, Gate, NoChange, parse_judged
from harness.store.records import finding_from
from harness.store.results import CaseResult, InvariantResult


def claims_of(reports: Sequence[RunReport], results: Sequence[CaseResult]) -> Claims:
    """The gates and rules that earlier reports of these results were, or left to be, judged by.

    Raises:
        ReportError: a report has a gate that this version cannot read.
    """
    left = [text for each in reports if each.run.shard for text in each.run.shard.gates]
    stated = {gate for result in results for gate in result.case.experiment.gates}
    judged = dict.fromkeys(_judged(gate) for report in reports for gate in report.gates)
    compared = [(gate.text, gate.claim) for gate in judged if isinstance(gate.claim, NoChange)]
    gates = [gate for gate in judged if gate not in stated and not isinstance(gate.claim, NoChange)]
    gates = list(dict.fromkeys([*gates, *read_gates(left, "gate")]))
    # Shards compare with one run, which may have another number on each machine.
    name = compared[0][1].saved if compared else None
    return Claims(gates, name, list(dict.fromkeys(ChangeRule.of(*each) for each in compared)))


def _judged(gate: GateReport) -> Gate:
    if gate.claim is not None:
        return Gate(gate.gate, gate.claim)
    try:
        return parse_judged(gate.gate)
    except ValueError as error:
        raise ReportError(f"a gate of {gate.experiment} cannot be read: {error}") from None


def findings_of(
    reports: Iterable[RunReport], results: Sequence[CaseResult]
) -> tuple[InvariantResult, ...]:
    """What earlier reports of these results found on whole models, which no record can say again.

    Of an identity that several have checked, a violated one stands.
    """
    cases = {result.case.id for result in results}
    found: dict[tuple[str, str], InvariantResult] = {}
    for each in (each for report in reports for each in report.invariants):
        known = found.get((each.name, each.case))
        if each.case not in cases and (known is None or known.holds):
            found[each.name, each.case] = finding_from(each.model_dump(mode="json"))
    return tuple(found.values())
