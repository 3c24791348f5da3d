"""From all results of a run to its written report: the same end for every kind of run.

A run that has just ended, one that was killed and is read back from its records, one that is scored
again: what is claimed is always judged anew from the results, never copied.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from harness.claims.claims import Claims
from harness.claims.gates import check_gates
from harness.claims.saved import SavedRun
from harness.files.portable import place_forms, portable
from harness.report.build import build
from harness.report.report import CaseReport, GateReport, RunReport, Unjudged
from harness.report.run_info import Cost, Git, RunInfo, ShardInfo
from harness.report.write import write
from harness.resolve.progress import Counts
from harness.runs.environment import peak_memory_gib
from harness.runs.invariants import check_invariants
from harness.store.folder import Manifest
from harness.store.results import CaseResult, GateResult, InvariantResult, UsageMap


@dataclass(frozen=True)
class Finished:
    """A run's report, what was checked, where it lies, and which cases were left out and why."""

    report: RunReport
    invariants: Sequence[InvariantResult]
    gates: Sequence[GateResult]
    directory: Path
    skipped: Sequence[str] = ()
    compared: str = ""
    """The table of the comparison with a saved run."""
    kept: Path | None = None
    """Where the run was saved to compare later ones with."""
    deleted: int = 0
    """Records of this run that were deleted from its store while it went on."""
    loads: Mapping[str, int] = field(default_factory=dict)
    """Model loads by worker, where there were any workers."""

    @property
    def failed(self) -> list[str]:
        """Ids of the cases that have no result."""
        return [case.id for case in self.report.cases if case.status != "complete"]

    @property
    def verdicts(self) -> list[str]:
        """How many invariants and gates hold; nothing of what was not asked."""
        lines = [_held("invariants", self.invariants)] if self.invariants else []
        waiting = self.report.unjudged
        if waiting:
            told = f"{len(self.gates)} of {len(self.gates) + len(waiting)} judged"
            held = sum(gate.holds for gate in self.gates)
            told += f", {held} of {len(self.gates)} hold" * bool(self.gates)
            several = len(self.report.experiments) > 1
            needs = (
                f"{each.gate}{f' of {each.experiment}' * several} needs {each.needs}"
                for each in waiting
            )
            lines.append(f"gates: {told}; {'; '.join(needs)}")
        elif self.gates:
            lines.append(_held("gates", self.gates))
        shard = self.report.run.shard
        if shard is not None and shard.gates:
            count = len(shard.gates)
            lines.append(
                f"{count} gate{'s' * (count != 1)} of the command line left undecided: titrate "
                "merge judges the whole run"
            )
        return lines

    @property
    def problems(self) -> list[str]:
        """What must fail the run beside failing cases: violated invariants and gates."""
        return [*self.lost, *self.violations, *map(problem, self.failed_gates)]

    @property
    def lost(self) -> list[str]:
        """What was taken from the store while the run went on, in a line; else nothing."""
        if not self.deleted:
            return []
        told = (
            f"{self.deleted:,} record{'s' * (self.deleted != 1)} of this run were deleted from its "
            "store while it went on; this report has their results, a rerun makes them again"
        )
        return [told]

    @property
    def violations(self) -> list[str]:
        """The invariants that do not hold, each in a line."""
        return [
            f"{check.name} is violated by {check.case}: {check.detail}"
            for check in self.invariants
            if not check.holds
        ]

    @property
    def failed_gates(self) -> list[GateResult]:
        """The gates that were found untrue, or that nothing decided."""
        return [gate for gate in self.gates if not gate.holds]


def problem(gate: GateResult) -> str:
    """A gate that does not hold, in a line."""
    return f"gate {gate.gate} of {gate.experiment} failed: {gate.detail}"


def _held(name: str, found: Sequence[InvariantResult | GateResult]) -> str:
    return f"{name}: {sum(each.holds for each in found)} of {len(found)} hold"


def conclude(
    run: RunInfo,
    results: Sequence[CaseResult],
    directory: Path,
    findings: Sequence[InvariantResult] = (),
    claims: Claims | None = None,
    writing: Callable[[RunReport, Sequence[CaseResult], Path], object] = write,
) -> Finished:
    """Check what results must satisfy, and write the report of all of them.

    `findings` are identities that were checked on the models themselves; `claims` is what the run
    is judged by beside its specs; `writing` writes the report, or as much of it as is wanted.
    """
    claims = claims or Claims()
    results = told_once(results)
    invariants = [*check_invariants(results), *findings]
    judging = claims
    if run.shard is not None:  # its part decides nothing about the whole
        judging = replace(claims, gates=())
        shard = run.shard.model_copy(update={"gates": tuple(map(str, claims.gates))})
        run = run.model_copy(update={"shard": shard})
    asked = judging.asked(results)
    requested = [(each.experiment, each.gates) for each in asked]
    gates = check_gates(requested, results, invariants, claims.saved.find)
    levels = sorted({result.isolation for result in results if result.isolation is not None})
    run = run.model_copy(update={"sandbox": "; ".join(levels) or None})
    report = build(run, results, invariants)
    compared = claims.compared(SavedRun.of(report, results))
    gates += compared.gates
    waiting = tuple(
        Unjudged(gate=gate.text, claim=gate.claim, experiment=each.experiment, needs=needs)
        for each in asked
        for gate, needs in each.waiting.items()
    )
    report = report.model_copy(
        update={"gates": tuple(map(GateReport.of, gates)), "unjudged": waiting}
    )
    report = _portable(report)
    writing(report, results, directory)
    kept = claims.keep(SavedRun.of(report, results))
    return Finished(report, invariants, gates, directory, compared=compared.table, kept=kept)


def told_once(results: Iterable[CaseResult]) -> list[CaseResult]:
    """The results in their order, without usage maps that an earlier case of the experiment has.

    Every worker and every shard gives a map to the first of its own cases.
    """
    told: set[tuple[str, UsageMap]] = set()
    kept = []
    for result in results:
        key = None if result.usage is None else (result.case.experiment.name, result.usage)
        kept.append(replace(result, usage=None) if key in told else result)
        if key is not None:
            told.add(key)
    return kept


def _portable(report: RunReport) -> RunReport:
    """The report without the paths of this machine, as it is written and returned."""
    rest = report.model_copy(update={"cases": ()})
    try:
        whole = RunReport.model_validate(portable(rest.model_dump(mode="json")))
        forms = place_forms()
        cases = tuple(_portable_case(case, forms) for case in report.cases)
    except ValidationError:  # a number that no report can hold: `write` says which
        return report
    return whole.model_copy(update={"cases": cases})


def _portable_case(case: CaseReport, forms: Iterable[bytes]) -> CaseReport:
    """The case; the same object where it names no path, of which a large report has many."""
    with suppress(ValueError):  # half a surrogate pair, which pydantic's own JSON cannot hold
        text = case.model_dump_json().encode()
        if not any(form in text for form in forms):
            return case
    document = case.model_dump(mode="json")
    changed = portable(document)
    return case if changed == document else CaseReport.model_validate(changed)


def run_info(
    manifest: Manifest,
    determinism: Mapping[str, str],
    hardware: Mapping[str, object],
    finished: datetime | None,
    counts: Counts | None = None,
) -> RunInfo:
    """What a report says of its run; `counts` where it has just ended."""
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
        shard=None if manifest.shard is None else ShardInfo(**manifest.shard),
        cost=None
        if counts is None or finished is None
        else _cost(counts, (finished - manifest.started).total_seconds()),
    )


def _cost(counts: Counts, wall_seconds: float) -> Cost:
    made = counts.tokens / counts.seconds if counts.tokens and counts.seconds else None
    return Cost(
        wall_seconds=wall_seconds,
        engine_seconds=counts.seconds,
        tokens=counts.tokens,
        tokens_per_second=made,
        requests=counts.requests_done,
        stored=counts.requests_stored,
        model_loads=counts.loads,
        peak_memory_gib=peak_memory_gib(),
    )
