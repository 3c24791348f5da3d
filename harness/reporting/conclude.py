"""From all results of a run to its written report: the same end for every kind of run.

A run that has just ended, one that was killed and is read back from its records, one that is scored
again: what is claimed is always judged anew from the results, never copied.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from harness.reporting.build import build
from harness.reporting.gates import check_gates
from harness.reporting.report import Git, Report, RunInfo
from harness.reporting.write import write
from harness.runs.folder import Manifest
from harness.runs.invariants import check_invariants
from harness.runs.results import CaseResult, GateResult, InvariantResult
from harness.spec import Case


@dataclass(frozen=True)
class Finished:
    """A run's report, what was checked, where it lies, and which cases were left out and why."""

    report: Report
    invariants: Sequence[InvariantResult]
    gates: Sequence[GateResult]
    directory: Path
    skipped: Sequence[str] = ()

    @property
    def failed(self) -> list[str]:
        """Ids of the cases that have no result."""
        return [case.id for case in self.report.cases if case.status != "complete"]

    @property
    def problems(self) -> list[str]:
        """What must fail the run beside failing cases: violated invariants and gates."""
        return [
            f"{check.name} is violated by {check.case}: {check.detail}"
            for check in self.invariants
            if not check.holds
        ] + [
            f"gate {gate.gate} of {gate.experiment} failed: {gate.detail}"
            for gate in self.gates
            if not gate.holds
        ]


def conclude(run: RunInfo, results: Sequence[CaseResult], directory: Path) -> Finished:
    """Check what results must satisfy, and write the report of all of them."""
    invariants = list(check_invariants(results))
    whole = whole_experiments(results)
    gates = check_gates(
        [(case.experiment.name, case.experiment.gates) for case in whole], results, invariants
    )
    report = build(run, results, invariants, gates)
    write(report, results, directory)
    return Finished(report, invariants, gates, directory)


def run_info(
    manifest: Manifest,
    determinism: Mapping[str, str],
    hardware: Mapping[str, object],
    finished: datetime | None,
) -> RunInfo:
    """What a report says of its run."""
    git = manifest.git
    return RunInfo(
        id=manifest.id,
        started=manifest.started,
        finished=finished,
        command=manifest.command,
        git=None if git is None else Git(commit=git[0], dirty=git[1]),
        versions=dict(manifest.versions),
        hardware=dict(hardware),
        determinism=dict(determinism),
    )


def whole_experiments(results: Sequence[CaseResult]) -> list[Case]:
    """One case of each experiment that was selected whole: a part decides no gate."""
    baselines = {result.baseline for result in results}
    cases = [result.case for result in results if result.case.id not in baselines]
    selected = Counter((case.experiment.name, case.source.file) for case in cases)
    first: dict[str, Case] = {}
    partial: set[str] = set()
    for case in cases:
        name = case.experiment.name
        first.setdefault(name, case)
        if selected[name, case.source.file] != case.of:
            partial.add(name)
    return [case for name, case in first.items() if name not in partial]
