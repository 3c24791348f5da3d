"""One run: selected cases in, results as they are asked for, one report at the end.

The pytest plugin and `harness.run` both drive a `Session`; neither knows more of engines, plans or
reports than this file shows.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from harness.engines import open_engine
from harness.errors import ReportError, SpecError, TitrateError
from harness.reporting import (
    Report,
    SavedRun,
    SavedRuns,
    build,
    check_gates,
    check_writable,
    write,
)
from harness.reporting.comparing import SAVED, Comparing
from harness.reporting.report import Gate, Git, RunInfo
from harness.runs.environment import git_state, hardware, versions
from harness.runs.execute import ModelRun, described, without_completions
from harness.runs.gates import requested_gates, saved_runs_of
from harness.runs.invariants import check_invariants
from harness.runs.plan import PlannedCase, by_model, planned
from harness.runs.progress import Counts, Progress, Silent
from harness.runs.requirements import unmet
from harness.runs.results import CaseResult, GateResult, InvariantResult
from harness.spec import Case, Experiment, Source, expand, load


@dataclass
class Session:
    """Plan cases, ask for their outcomes, finish. Models are loaded when first needed.

    A model is closed when a case of another model is asked for and all of its own are done, so
    that at most one stays in memory while cases come grouped by model.
    """

    command: str = ""
    progress: Progress = field(default_factory=Silent)
    counts: Counts = field(default_factory=Counts)
    gates: Sequence[str] = ()
    """Of the command line, beside those of the specs."""
    saved: SavedRuns = field(default_factory=lambda: SavedRuns(Path.cwd() / SAVED))
    comparing: Comparing = field(default_factory=Comparing)
    loads: int = 0
    started: datetime = field(default_factory=lambda: datetime.now(UTC))

    _cases: dict[str, PlannedCase] = field(default_factory=dict)
    _groups: dict[tuple[str, str], list[PlannedCase]] = field(default_factory=dict)
    _runs: dict[tuple[str, str], ModelRun] = field(default_factory=dict)
    _failed_models: dict[tuple[str, str], Exception] = field(default_factory=dict)
    _determinism: dict[str, str] = field(default_factory=dict)
    _requested: list[tuple[str, list[str]]] = field(default_factory=list)

    def plan(self, cases: Iterable[PlannedCase]) -> None:
        """Say which cases this run consists of, once, before the first outcome is asked for."""
        experiments: dict[str, Experiment] = {}
        for case in cases:
            self._cases.setdefault(case.id, case)
            for each in (case, case.baseline):
                if each is not None:
                    same = experiments.setdefault(each.id, each.experiment)
                    if same != each.experiment:
                        files = {known.case.source.file for known in [case, *self._cases.values()]}
                        raise SpecError(
                            f"{each.id}: two different experiments have this id; rename one of "
                            f"those in {', '.join(sorted(files))}"
                        )
        self._requested = requested_gates(list(self._cases.values()), self.gates)
        for name, gate in saved_runs_of(self._requested):
            try:
                self.saved.find(name)
            except ReportError as error:
                raise SpecError(f"{gate}: {error}") from error
        self.comparing.check(self.saved)
        self._groups = by_model(self._cases.values())
        self.counts.cases_total = len(self._cases)

    def outcome(self, case: PlannedCase) -> CaseResult:
        """The case's result, running what is missing. A case that failed comes back as failed.

        What concerns all cases of a model raises: one that cannot be loaded, an engine that broke.
        """
        return self._run_of(case).result(self._cases.get(case.id, case))

    def violations(self, case: PlannedCase) -> list[InvariantResult]:
        """The identities that this case, which has an outcome, was found to violate."""
        pair = [self.outcome(each) for each in (case.baseline, case) if each is not None]
        return [check for check in check_invariants(pair) if not check.holds]

    @property
    def seconds(self) -> float:
        """Time spent generating, without loading, measuring and scoring."""
        return sum(run.seconds for run in self._runs.values())

    def results(self) -> list[CaseResult]:
        """Results of the models that were asked for, baselines included, unfinished cases too."""
        failed = [
            result
            for key, error in self._failed_models.items()
            for result in without_completions(self._groups[key], "failed", described(error))
        ]
        return [result for run in self._runs.values() for result in run.results()] + failed

    def finish(self, directory: Path) -> Finished:
        """Write the report of everything that was run."""
        results = self.results()
        invariants = list(check_invariants(results))
        gates = check_gates(self._requested, results, invariants, self.saved.find)
        report = build(self._run_info(), results, invariants)
        compared = self.comparing.done(SavedRun.of(report, results), self.saved)
        gates += compared.gates
        judged = tuple(Gate(**asdict(gate)) for gate in gates)
        report = report.model_copy(update={"gates": judged})
        write(report, results, directory)
        kept = self.comparing.keep(SavedRun.of(report, results), self.saved)
        return Finished(report, invariants, gates, directory, compared=compared.table, kept=kept)

    def close(self) -> None:
        """Give all models' memory back."""
        for run in self._runs.values():
            run.close()

    def _run_of(self, case: PlannedCase) -> ModelRun:
        """The run of a case's model, loading it when this is its first case."""
        key = next(iter(by_model([case])))
        if key in self._failed_models:
            raise self._failed_models[key]
        if key not in self._runs:
            for other in self._runs.values():
                if other.done:
                    other.close()
            self.progress.note(f"loading {case.experiment.model}")
            try:
                self._runs[key] = self._opened(case, self._groups[key])
            except Exception as error:
                # Not tried again for the next case: loading is slow, and its failure would be too.
                self._failed_models[key] = error
                self.counts.cases_done += len(self._groups[key])
                raise
        return self._runs[key]

    def _opened(self, case: PlannedCase, group: Sequence[PlannedCase]) -> ModelRun:
        """Load the model of a case and plan all cases that share it."""
        engine = open_engine(case.experiment.model, case.experiment.engine)
        self.loads += 1
        self._determinism.update(engine.determinism)
        self._determinism[f"fingerprint of {case.experiment.model}"] = engine.fingerprint
        try:
            return ModelRun(engine, group, self.progress, self.counts)
        except Exception:
            engine.close()
            raise

    def _run_info(self) -> RunInfo:
        state = git_state()
        return RunInfo(
            id=f"{self.started:%Y%m%d-%H%M%S}-{uuid.uuid4().hex[:6]}",
            started=self.started,
            finished=datetime.now(UTC),
            command=self.command,
            git=None if state is None else Git(commit=state[0], dirty=state[1]),
            versions=versions(),
            hardware=hardware(),
            determinism=self._determinism,
        )


def run(
    experiment: Experiment | Path | str,
    *,
    overrides: Sequence[str] = (),
    directory: Path | str | None = None,
    progress: Progress | None = None,
) -> Report:
    """Run every case of an experiment (or of a spec file) and write its report.

    `overrides` are `field=value` strings for a spec file. The report lies in `directory`, by
    default in a new folder below `reports/`. Raises `SpecError` for a spec that cannot be run, and
    `TitrateError` for a violated invariant or gate after the report was written.
    """
    if overrides and isinstance(experiment, Experiment):
        raise SpecError(
            f"{overrides[0]}: overrides are for spec files; change an experiment with model_copy"
        )
    finished = run_specs([experiment], overrides, directory, progress or Silent(), "harness.run")
    if finished.problems:
        raise TitrateError(f"{finished.problems[0]} (report: {finished.directory})")
    return finished.report


def run_specs(
    specs: Sequence[Experiment | Path | str],
    overrides: Sequence[str],
    directory: Path | str | None,
    progress: Progress,
    command: str,
    gates: Sequence[str] = (),
    comparing: Comparing = Comparing(),  # noqa: B008 - frozen
) -> Finished:
    """Run several experiments as one session; cases whose requirements are unmet are left out.

    A model that cannot be loaded fails its own cases. An engine that breaks, or an interruption, is
    raised again after the report of what was finished is written.
    """
    cases: list[Case] = []
    for spec in specs:
        loaded = (spec, Source.of(spec)) if isinstance(spec, Experiment) else load(spec, overrides)
        cases += expand(*loaded)
    reasons = {case.id: unmet(case.experiment) for case in cases}
    session = Session(command=command, progress=progress, gates=gates, comparing=comparing)
    target = Path(directory or default_directory(Path.cwd(), session.started))
    check_writable(target)
    try:
        selected = [planned(case) for case in cases if reasons[case.id] is None]
        session.plan(selected)
        stopped = _run_all(session, selected)
        if stopped is not None and not session.loads:
            raise stopped
        finished = session.finish(target)
        if stopped is not None and not isinstance(stopped, TitrateError):
            stopped.add_note(f"The report of what was finished: {finished.directory}")
            raise stopped
    finally:
        progress.close()
        session.close()
    skipped = [f"{id_} {reason}" for id_, reason in reasons.items() if reason is not None]
    return replace(finished, skipped=skipped)


def _run_all(session: Session, cases: Sequence[PlannedCase]) -> BaseException | None:
    """Ask for every outcome; returns what stopped a model's cases, or the whole run, first.

    Our own errors give way to others: they are in the report, and the others are not expected.
    """
    stopped: BaseException | None = None
    for case in cases:
        try:
            session.outcome(case)
        except KeyboardInterrupt as interrupt:
            return interrupt
        except Exception as error:
            if stopped is None or isinstance(stopped, TitrateError):
                stopped = error
    return stopped


@dataclass(frozen=True)
class Finished:
    """A run's report, what was checked, where it lies, and which cases were left out and why."""

    report: Report
    invariants: Sequence[InvariantResult]
    gates: Sequence[GateResult]
    directory: Path
    skipped: Sequence[str] = ()
    compared: str = ""
    """The table of the comparison with a saved run."""
    kept: Path | None = None
    """Where the run was saved to compare later ones with."""

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


def default_directory(root: Path, started: datetime) -> Path:
    """Where a report goes unless told otherwise: `reports/20260131-142500`, never an old one."""
    base = root / "reports" / f"{started.astimezone():%Y%m%d-%H%M%S}"
    return next(
        candidate
        for candidate in [base, *(base.with_name(f"{base.name}-{n}") for n in range(2, 1000))]
        if not candidate.exists()
    )
