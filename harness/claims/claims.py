"""What a run is judged by when it ends, beside what its specs say: gates, and other runs.

Whoever writes a report judges it by the same claims: a single process, a controller of workers,
and whoever joins or scores again what others have run.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from harness.claims.comparing import SAVED, Comparing
from harness.claims.comparison_rules import stated_rule
from harness.claims.fitting import check_rule_metrics, fits, lacking, requested_gates, saved_runs_of
from harness.claims.saved import SavedRuns
from harness.errors import OptionError, ReportError, SpecError
from harness.report.report import Report
from harness.spec import Case
from harness.store.records import finding_from
from harness.store.results import CaseResult, InvariantResult, UnjudgedGate

if TYPE_CHECKING:
    # Not at run time: it imports torch, and who starts workers does without.
    from harness.runs.plan import PlannedCase


@dataclass(frozen=True)
class Claims:
    """Gates of the command line, what to do with saved runs, and where these lie."""

    gates: Sequence[str] = ()
    comparing: Comparing = field(default_factory=Comparing)
    saved: SavedRuns = field(default_factory=lambda: SavedRuns(Path.cwd() / SAVED))

    def check(self, cases: Sequence[PlannedCase]) -> None:
        """Refuse, before anything runs, what could not be judged after it.

        Raises:
            SpecError: a gate that no selected case can decide, or that names a run that is not
                saved; a rule that is malformed, or of a metric that no selected case measures.
            ReportError: no such run to compare with.
        """
        for name, gate in saved_runs_of(requested_gates(cases, self.gates)):
            try:
                self.saved.find(name)
            except ReportError as error:
                raise SpecError(f"{gate}: {error}") from error
        if self.comparing.rules and not cases:
            raise OptionError(
                "compare_fail",
                f"{self.comparing.rules[0]!r}: no case was selected that it could judge; select "
                "some, or leave it out",
            )
        self.check_comparison()
        check_rule_metrics(cases, self.comparing.rules)

    def check_comparison(self) -> None:
        """The part of `check` that needs no cases."""
        self.comparing.check(self.saved)

    def requested(self, results: Sequence[CaseResult]) -> list[tuple[str, list[str]]]:
        """Experiments with the gates to judge: those of specs that the cases decide, then these."""
        selected = _selected(results)
        gates = {
            name: [text for text in cases[0].experiment.gates if not lacking(text, cases)]
            for name, cases in selected.items()
        }
        for text in self.gates:
            for name, cases in selected.items():
                if fits(text, cases):
                    gates[name].append(text)
        return [(name, texts) for name, texts in gates.items() if texts]


def claims_of(reports: Sequence[Report], results: Sequence[CaseResult]) -> Claims:
    """The gates and rules that earlier reports of these results were, or left to be, judged by."""
    left = {gate: None for each in reports if each.run.shard for gate in each.run.shard.gates}
    stated = {gate for result in results for gate in result.case.experiment.gates}
    judged = dict.fromkeys(gate.gate for report in reports for gate in report.gates)
    rules = [found for text in judged if (found := stated_rule(text)) is not None]
    gates = [text for text in judged if text not in stated and stated_rule(text) is None]
    gates += [text for text in left if text not in gates]
    # Shards compare with one run, which may have another number on each machine.
    name = rules[0][0] if rules else None
    return Claims(gates, Comparing(name, list(dict.fromkeys(rule for _, rule in rules))))


def findings_of(
    reports: Iterable[Report], results: Sequence[CaseResult]
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


def unjudged(results: Sequence[CaseResult]) -> list[UnjudgedGate]:
    """The gates of specs that wait for cases which were not selected."""
    return [
        UnjudgedGate(text, name, needs)
        for name, cases in _selected(results).items()
        for text in dict.fromkeys(cases[0].experiment.gates)
        if (needs := lacking(text, cases))
    ]


def _selected(results: Sequence[CaseResult]) -> dict[str, list[Case]]:
    """The cases that were asked for, by experiment: all but baselines."""
    baselines = {result.baseline for result in results}
    selected: dict[str, list[Case]] = {}
    for result in results:
        if result.case.id not in baselines:
            selected.setdefault(result.case.experiment.name, []).append(result.case)
    return selected
