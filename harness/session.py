"""One run: selected cases in, results as they are asked for, one report at the end.

The pytest plugin and `harness.run` both drive a `Session`; neither knows more of engines, plans or
reports than this file shows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

from harness.engines import open_engine
from harness.engines.base import Engine
from harness.errors import FieldError, SpecError, TitrateError
from harness.invariants.checking import Check, Checker
from harness.reporting import Report, check_writable, default_directory
from harness.reporting.claims import Claims
from harness.reporting.comparing import Comparing
from harness.reporting.conclude import Finished, conclude, run_info
from harness.runs.deferred import DeferredEngine
from harness.runs.environment import git_state, hardware, versions
from harness.runs.execute import INCOMPLETE, ModelRun
from harness.runs.folder import (
    Manifest,
    RunFolder,
    forward_below,
    run_id,
    runs_below,
    store_below,
)
from harness.runs.forecast import Forecast, forecast
from harness.runs.invariants import check_invariants
from harness.runs.plan import PlannedCase, by_model, check_compatible, planned
from harness.runs.progress import Counts, Progress, Silent
from harness.runs.requirements import unmet
from harness.runs.resolve import Resolver
from harness.runs.results import CaseResult, InvariantResult
from harness.runs.scoring import described, without_completions
from harness.runs.shard import Shard
from harness.runs.store import CompletionStore
from harness.spec import Case, Experiment, Source, expand, load

_Key: TypeAlias = tuple[tuple[str, str], int]
"""What a model's cases are grouped by: model and engine settings, and the part of a worker."""


@dataclass
class Session:
    """Plan cases, ask for their outcomes, finish. Models are loaded when first needed.

    A model is closed when a case of another model is asked for and all of its own are done, so
    that at most one stays in memory while cases come grouped by model. With a `root`, results are
    recorded in a folder of the run below it as they come (`runs/folder.py`).
    """

    command: str = ""
    progress: Progress = field(default_factory=Silent)
    store: CompletionStore | None = None
    root: Path | None = None
    process: str = "main"
    report: Path = Path()
    counts: Counts = field(default_factory=Counts)
    claims: Claims = field(default_factory=Claims)
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    id: str = ""
    shard: Mapping[str, Any] | None = None
    """What a report says of the shard that these cases are (`runs/shard.py`)."""
    selection: Sequence[PlannedCase] = ()
    """The cases of all shards: what gates must fit, though no shard has all that they name."""

    abandoned: Callable[[], Mapping[str, str]] = dict
    """Ids of the cases that are not to be asked for, and why: a process died over them."""

    _cases: dict[str, PlannedCase] = field(default_factory=dict)
    _part: dict[str, int] = field(default_factory=dict)
    _groups: dict[_Key, list[PlannedCase]] = field(default_factory=dict)
    _runs: dict[_Key, ModelRun] = field(default_factory=dict)
    _failed_models: dict[_Key, Exception] = field(default_factory=dict)
    _determinism: dict[str, str] = field(default_factory=dict)
    _folder: RunFolder | None = None
    _findings: list[InvariantResult] = field(default_factory=list)
    _checker: Checker = field(default_factory=Checker)

    def __post_init__(self) -> None:
        self.id = self.id or run_id(self.started)

    def plan(
        self, cases: Iterable[PlannedCase], parts: Sequence[Sequence[PlannedCase]] = ()
    ) -> None:
        """Say which cases this run consists of, once, before the first outcome is asked for.

        Where workers share them, `parts` says how: a case brings along those of its own part only.
        """
        selected = list(cases)
        check_compatible(selected)
        for case in selected:
            self._cases.setdefault(case.id, case)
        self._part = {case.id: number for number, part in enumerate(parts) for case in part}
        for case in self._cases.values():
            self._groups.setdefault(self._key(case), []).append(case)
        self.claims.check(self.selection or list(self._cases.values()))
        self.counts.cases_total = len(self._cases)

    def outcome(self, case: PlannedCase) -> CaseResult:
        """The case's result, running what is missing. A case that failed comes back as failed.

        What concerns all cases of a model raises: one that cannot be loaded, an engine that broke.
        """
        return self._run_of(case).result(self._cases.get(case.id, case))

    def violations(self, case: PlannedCase) -> list[InvariantResult]:
        """The identities that this case, which has an outcome, was found to violate."""
        run = self._run_of(case)
        pair = [run.result(each) for each in (case.baseline, case) if each is not None]
        return [check for check in check_invariants(pair) if not check.holds]

    def check(self, check: Check) -> InvariantResult:
        """Check an identity on its model, which is loaded unless the last check was on it too."""
        self._begin()
        self._close_done()
        found = self._checker.check(check)
        self._findings.append(found)
        self._determinism |= self._checker.determinism
        if self._folder is not None:
            self._folder.add_finding(found)
            self._folder.add_engine(self._determinism, hardware())
        return found

    @property
    def opened(self) -> bool:
        """Whether there is anything to report: a model, or its stored completions, was there."""
        return bool(self._runs or self.counts.loads or self._findings)

    def results(self) -> list[CaseResult]:
        """Every planned case in planned order after its baseline, unfinished ones too."""
        came = [result for run in self._runs.values() for result in run.results()]
        for key, error in self._failed_models.items():
            came += self._without_model(key, error)
        return list({result.case.id: result for result in [*self._planned(), *came]}.values())

    def finish(self, directory: Path) -> Finished:
        """Write the report of everything that was run."""
        info = run_info(self._manifest(), self._determinism, hardware(), datetime.now(UTC))
        return conclude(info, self.results(), directory, self._findings, self.claims)

    def close(self) -> None:
        """Give all models' memory back."""
        for run in self._runs.values():
            run.close()
        self._checker.close()
        if self.store is not None:
            self.store.close()
        if self._folder is not None:
            self._folder.close()

    def _close_done(self) -> None:
        """Give back the memory of models whose cases all have results."""
        for run in self._runs.values():
            if run.done:
                run.close()

    def _run_of(self, case: PlannedCase) -> ModelRun:
        """The run of a case's model, loading it when this is its first case."""
        key = self._key(case)
        if key in self._failed_models:
            raise self._failed_models[key]
        if key not in self._runs:
            self._close_done()
            self._checker.close()
            try:
                self._begin()
                self._runs[key] = self._opened(case, key)
            except Exception as error:
                # Not tried again for the next case: loading is slow, and its failure would be too.
                self._failed_models[key] = error
                self.counts.cases_done += len(self._groups[key])
                for result in self._without_model(key, error):
                    self._keep(result)
                raise
        return self._runs[key]

    def _key(self, case: PlannedCase) -> _Key:
        (model,) = by_model([case])
        return model, self._part.get(case.id, 0)

    def _opened(self, case: PlannedCase, key: _Key) -> ModelRun:
        """Plan all cases of a model, and load it if anything of them is still to be made."""
        abandoned = self.abandoned()
        group = [each for each in self._groups[key] if each.id not in abandoned]
        parts = {part: cases for (model, part), cases in self._groups.items() if model == key[0]}
        model, settings = case.experiment.model, case.experiment.engine

        def opening() -> Engine:
            self.progress.note(f"loading {model}")
            engine = open_engine(model, settings)
            self.counts.loads += 1
            return engine

        engine = DeferredEngine(model, settings, opening, self.store)
        try:
            resolver = Resolver(engine, self.progress, self.store)
            if not engine.known or any(resolver.needs_model(each.experiment) for each in group):
                engine.load()
            run = ModelRun(
                engine,
                group,
                self.progress,
                self.counts,
                self.store,
                resolver,
                self._keep,
                parts=parts,
                part=key[1],
                forward=self._forward_folder(),
            )
            if run.missing:
                engine.load()
        except Exception:
            engine.close()
            raise
        self._note_engine(engine.determinism, model, engine.fingerprint)
        return run

    def _forward_folder(self) -> Path:
        """Where forward passes are kept; a fresh run has a place of its own, and finds nothing."""
        folder = forward_below(self.root or Path.cwd())
        fresh = self.store is not None and self.store.fresh
        return folder / self.id if fresh else folder

    # Records --------------------------------------------------------------------------------------

    def _begin(self) -> None:
        """Make the run's folder, with what is to be done in it."""
        if self._folder is None and self.root is not None:
            folder = RunFolder(runs_below(self.root) / self.id, self.process)
            folder.begin(self._manifest())
            folder.plan(self._planned())
            self._folder = folder

    def _keep(self, result: CaseResult) -> None:
        if self._folder is not None:
            self._folder.add(result)

    def _note_engine(self, determinism: Mapping[str, str], model: str, fingerprint: str) -> None:
        self._determinism |= {**determinism, f"fingerprint of {model}": fingerprint}
        if self._folder is not None:
            self._folder.add_engine(self._determinism, hardware())

    def _manifest(self) -> Manifest:
        return Manifest(
            id=self.id,
            started=self.started,
            command=self.command,
            report=str(self.report.absolute()),
            shard=self.shard,
            gates=tuple(self.claims.gates),
            compare=self.claims.comparing.name,
            rules=tuple(self.claims.comparing.rules),
            git=git_state(),
            versions=versions(),
        )

    def _planned(self) -> list[CaseResult]:
        return without_completions(list(self._cases.values()), "incomplete", INCOMPLETE)

    def _without_model(self, key: _Key, error: Exception) -> list[CaseResult]:
        return without_completions(self._groups[key], "failed", described(error))


def run(
    experiment: Experiment | Path | str,
    *,
    overrides: Sequence[str] = (),
    directory: Path | str | None = None,
    progress: Progress | None = None,
    store: Path | str | None = None,
    fresh: bool = False,
    unsafe_code: bool = False,
    gates: Sequence[str] = (),
    save: str | None = None,
    compare: str | None = None,
    compare_fail: Sequence[str] = (),
) -> Report:
    """Run every case of an experiment (or of a spec file) and write its report.

    `overrides` are `field=value` strings for a spec file. The report lies in `directory`, by
    default in a new folder below `reports/`. Completions are looked for and kept in `store`, by
    default `.titrate/store`; `fresh` makes all of them again. `unsafe_code` allows code that the
    model wrote to run as a plain process, with your rights, where it cannot be isolated. `gates`,
    `save`, `compare` and `compare_fail` are those of the command line (`docs/statistics.md`).
    Raises `SpecError` for a spec that cannot be run, and `TitrateError` for a violated invariant
    or gate after the report was written.
    """
    if overrides and isinstance(experiment, Experiment):
        raise SpecError(
            f"{overrides[0]}: overrides are for spec files; change an experiment with model_copy"
        )
    finished = run_specs(
        [experiment],
        overrides,
        directory,
        progress or Silent(),
        "harness.run",
        store=store,
        fresh=fresh,
        unsafe_code=unsafe_code,
        claims=Claims(gates, Comparing(compare, compare_fail, save)),
    )
    if finished.problems:
        raise TitrateError(f"{finished.problems[0]} (report: {finished.directory})")
    return finished.report


def run_specs(
    specs: Sequence[Experiment | Path | str],
    overrides: Sequence[str],
    directory: Path | str | None,
    progress: Progress,
    command: str,
    *,
    store: Path | str | None = None,
    fresh: bool = False,
    unsafe_code: bool = False,
    shard: Shard | None = None,
    claims: Claims | None = None,
) -> Finished:
    """Run several experiments as one session; cases whose requirements are unmet are left out.

    With a `shard`, only that share of the cases is run. A model that cannot be loaded fails its own
    cases. An engine that breaks, or an interruption, is raised again after the report of what was
    finished is written.
    """
    cases = _cases(specs, overrides)
    reasons = {case.id: unmet(case.experiment) for case in cases}
    session = opened_session(
        Path.cwd(), command, progress, store=store, fresh=fresh, claims=claims or Claims()
    )
    session.report = Path(directory or default_directory(Path.cwd(), session.started))
    if check_writable(session.report):
        progress.note(f"the report in {session.report} will be replaced")
    try:
        selected = [
            planned(case, unsafe_code=unsafe_code) for case in cases if reasons[case.id] is None
        ]
        if shard is not None:
            session.shard = shard.description(case.case for case in selected)
            session.selection = selected
            selected = shard.own(selected)
        session.plan(selected)
        stopped = _run_all(session, selected)
        if stopped is not None and not session.opened:
            raise stopped
        finished = session.finish(session.report)
        if stopped is not None and not isinstance(stopped, TitrateError):
            stopped.add_note(f"The report of what was finished: {finished.directory}")
            raise stopped
    finally:
        progress.close()
        session.close()
    skipped = [f"{id_} {reason}" for id_, reason in reasons.items() if reason is not None]
    return replace(finished, skipped=skipped)


def forecast_specs(
    specs: Sequence[Path],
    overrides: Sequence[str],
    store: Path | None,
    *,
    unsafe_code: bool = False,
) -> list[Forecast]:
    """What `run_specs` would do with these specs here and now."""
    cases = [
        planned(case, unsafe_code=unsafe_code)
        for case in _cases(specs, overrides)
        if unmet(case.experiment) is None
    ]
    check_compatible(cases)
    return forecast(cases, CompletionStore(store or store_below(Path.cwd())))


def _cases(specs: Sequence[Experiment | Path | str], overrides: Sequence[str]) -> list[Case]:
    cases: list[Case] = []
    for spec in specs:
        loaded = (spec, Source.of(spec)) if isinstance(spec, Experiment) else load(spec, overrides)
        experiment, source = loaded
        if experiment.search is not None:
            error = FieldError("search", "is run by `titrate search`, not as cases")
            raise source.locate(error)
        cases += expand(experiment, source)
    return cases


def opened_session(
    root: Path,
    command: str,
    progress: Progress,
    *,
    store: Path | str | None = None,
    fresh: bool = False,
    **fields: Any,
) -> Session:
    """A session that keeps what it does below `root`; its store was found to be usable."""
    session = Session(command=command, progress=progress, root=root, **fields)
    session.store = CompletionStore(
        store or store_below(root), fresh=fresh, since=session.started, warn=progress.note
    )
    session.store.check_writable()
    return session


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
