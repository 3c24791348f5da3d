"""One run: selected cases in, results as they are asked for, one report at the end.

The pytest plugin and `harness.run` (`running.py`) both drive a `Session`; neither knows more of
engines, plans or reports than this file shows.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

from harness.claims.claims import Claims
from harness.engines import open_engine
from harness.engines.contract import Engine
from harness.errors import ModelError, ReadOnlyError, StoreError, UnstoredError
from harness.invariants.checking import Checker, IdentityCheck
from harness.processes.interrupts import held
from harness.resolve.needs import needs_of
from harness.resolve.progress import Counts, Progress, Silent
from harness.resolve.resolver import Resolver
from harness.runs.compatible import check_compatible
from harness.runs.conclude import Finished, conclude, run_info
from harness.runs.counting import described
from harness.runs.deferred import DeferredEngine
from harness.runs.environment import git_state, hardware, versions
from harness.runs.execute import INCOMPLETE, ModelRun
from harness.runs.generated import without_completions
from harness.runs.invariants import check_invariants
from harness.runs.plan import by_model
from harness.runs.planned_case import PlannedCase
from harness.runs.server_places import located
from harness.runs.waiting import HELD
from harness.spec.experiment import EngineSettings
from harness.store.completions import CompletionStore
from harness.store.folder import Manifest, RunFolder, run_id
from harness.store.places import kept_below, runs_below, store_below
from harness.store.results import CaseResult, DrawResult, InvariantResult

_Key: TypeAlias = tuple[tuple[str, str, str | None], int]
"""What a model's cases are grouped by: as `by_model` does, and the part of a worker."""


@dataclass
class Session:
    """Plan cases, ask for their outcomes, finish. Models are loaded when first needed.

    A model is closed when a case of another model is asked for and all of its own are done, so
    that at most one stays in memory while cases come grouped by model. With a `root`, results are
    recorded in a folder of the run below it as they come (`store/folder.py`).
    """

    command: str = ""
    progress: Progress = field(default_factory=Silent)
    store: CompletionStore | None = None
    root: Path | None = None
    process: str = "main"
    report: Path = Path()
    further: bool = False
    """Whether sweeps that stop themselves go on with doses that they would give up."""
    counts: Counts = field(default_factory=Counts)
    claims: Claims = field(default_factory=Claims)
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    id: str = ""
    shard: Mapping[str, Any] | None = None
    """What a report says of the shard that these cases are (`runs/shard.py`)."""
    begun: bool = False
    """Whether another process has written what the run is to do; this one adds what it has done."""
    recorded: Container[str] = ()
    """Ids of the cases whose results another process has recorded, and this one does not."""
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
    _held: int = 0
    """Tokens of the results whose draws are in memory."""
    _told: set[str] = field(default_factory=set)
    _findings: list[InvariantResult] = field(default_factory=list)
    _checker: Checker = field(default_factory=Checker)
    _read_only: ReadOnlyError | None = None
    """Why nothing that this run makes could be kept; then it makes nothing."""

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

    def begin(self) -> None:
        """Make the run's folder, with what is to be done in it, unless it is there.

        Raises:
            StoreError: it cannot be written; nothing is left of it then.
        """
        if self._folder is None and self.root is not None:
            folder = RunFolder(runs_below(self.root) / self.id, self.process)
            if self.begun:
                self._folder = folder
                return
            try:
                folder.begin(self._manifest())
                folder.plan(self._planned())
            except StoreError as error:
                folder.discard()
                self._do_without(error)
            else:
                self._folder = folder

    @property
    def cases(self) -> Mapping[str, PlannedCase]:
        """The planned cases by their ids."""
        return self._cases

    def check_store(self) -> None:
        """Find out whether what is made can be stored; a full store that is read-only will do.

        Raises:
            StoreError: it cannot be written, and holds nothing either.
        """
        assert self.store is not None
        try:
            self.store.check_writable()
        except StoreError as error:
            self._do_without(error)

    def _do_without(self, error: StoreError) -> None:
        """Go on, for as long as nothing must be made: what is stored needs no place to be kept."""
        if not isinstance(error, ReadOnlyError) or not self.store:
            raise error
        self._read_only = self._read_only or error

    def outcome(self, case: PlannedCase) -> CaseResult:
        """The case's result, running what is missing. A case that failed comes back as failed.

        What concerns all cases of a model raises: one that cannot be loaded, an engine that broke.
        That nothing can be kept any more is said, with its remedy, of one case only.
        """
        try:
            return self._run_of(case).result(self._cases.get(case.id, case))
        except StoreError as error:
            if str(error) in self._told:
                raise StoreError("not run: nothing can be kept any more, as was said") from error
            self._told.add(str(error))
            raise

    def violations(self, case: PlannedCase) -> list[InvariantResult]:
        """The identities that this case, which has an outcome, was found to violate."""
        run = self._run_of(case)
        pair = [run.result(each) for each in (case.baseline, case) if each is not None]
        return [check for check in check_invariants(pair) if not check.holds]

    def check(self, check: IdentityCheck) -> InvariantResult:
        """Check an identity on its model, which is loaded unless the last check was on it too."""
        self.begin()
        self._close_done()
        loads = self._checker.loads
        found = self._checker.check(check)
        self.counts.loads += self._checker.loads - loads
        self.progress.update(self.counts)
        self._findings.append(found)
        if self._folder is not None:
            self._folder.add_finding(found)
        if not self._checker.determinism.items() <= self._determinism.items():
            self._note(self._checker.determinism)
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
        """Write the report of everything that was run; the run has ended."""
        info = run_info(
            self._manifest(), self._determinism, hardware(), datetime.now(UTC), self.counts
        )
        finished = conclude(info, self.results(), directory, self._findings, self.claims)
        return replace(finished, deleted=self.counts.deleted)

    def end(self) -> None:
        """Look once more whether what was stored is still there; the watcher is told."""
        self.counts.deleted = 0 if self.store is None else self.store.deleted
        if self.counts.deleted:
            self.progress.update(self.counts)

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
                self.begin()
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
        # A worker meets its own parts only, and all that it can tell is how long these take.
        self.counts.cases_met += len(self._cases) if self._part else len(group)
        parts = {part: cases for (model, part), cases in self._groups.items() if model == key[0]}
        model, settings, only_stored = case.experiment.model, case.experiment.engine, key[0][2]

        def deferred(
            name: str, settings: EngineSettings, cases: Sequence[PlannedCase] = ()
        ) -> DeferredEngine:
            def opening() -> Engine:
                if only_stored is not None:
                    raise UnstoredError(only_stored, f"what {name} says is not stored; use another")
                if self._read_only is not None:
                    raise self._read_only
                self.progress.note(f"loading {name}")
                needs = needs_of(each.experiment for each in cases)
                try:
                    engine = open_engine(name, settings, needs)
                except ModelError as error:
                    raise located(error, name, settings, group) from error
                self.counts.loads += 1
                return engine

            return DeferredEngine(name, settings, opening, self.store)

        engine = deferred(model, settings, group)
        opened = {name: opening for each in group for name, opening in each.openings.items()}
        others = {
            name: deferred(opening.model, opening.settings or settings)
            for name, opening in opened.items()
        }
        every = [engine, *others.values()]
        # Who answers at an address is known at once: it is told before anything is read.
        servers = {name for each in group for name in each.asked_servers}
        try:
            for name in sorted(servers):
                if not others[name].known:
                    others[name].load()
            resolver = Resolver(engine, self.progress, self.store, others)
            measured = (resolver.needs_model(each.experiment) for each in group)
            if not engine.known or (only_stored is None and any(measured)):
                engine.load()
            asked = {name for each in group for name in each.asked_engines}
            for name, other in others.items():
                if not other.known and name in asked:
                    other.load()
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
                kept=self._kept_folder,
                others=others,
                further=self.further,
            )
            if run.missing:  # all weights, before the first cache takes its share of what is free
                for each in [engine, *(others[name] for name in asked)]:
                    each.load()
        except Exception:
            for each in every:
                each.close()
            raise
        fingerprints = {model: engine.fingerprint}
        fingerprints |= {name: other.fingerprint for name, other in others.items() if other.known}
        named = {f"fingerprint of {name}": known for name, known in fingerprints.items()}
        self._note({**engine.determinism, **named})
        return run

    def _kept_folder(self, measure: str) -> Path:
        """Where a measure keeps its readings: with the store, where it was put elsewhere.

        A fresh run has a place of its own, and finds nothing.
        """
        root, store = self.root or Path.cwd(), self.store
        folder = kept_below(root, measure)
        if store is not None and store.directory.absolute() != store_below(root).absolute():
            folder = store.directory / f".{measure}"
        return folder / self.id if store is not None and store.fresh else folder

    def _keep(self, result: CaseResult) -> Sequence[DrawResult] | None:
        """Record a result; the draws to hold in place of its own, where those are too many."""
        if self._folder is None or result.case.id in self.recorded:
            return None
        # pydantic, in whose functions a Ctrl-C may come, would make an error of its own of it.
        with held() as late:
            recorded = self._folder.add(result)
        if late.interrupted:
            raise KeyboardInterrupt
        if self._held + result.tokens > HELD:
            return recorded
        self._held += result.tokens
        return None

    def _note(self, determinism: Mapping[str, str]) -> None:
        """Keep the settings of an engine for the report."""
        self._determinism |= determinism
        if self._folder is not None:
            self._folder.add_engine(self._determinism, hardware())

    def _manifest(self) -> Manifest:
        return Manifest(
            id=self.id,
            started=self.started,
            command=self.command,
            report=str(self.report.absolute()),
            shard=self.shard,
            gates=tuple(map(str, self.claims.gates)),
            compare=self.claims.compare,
            rules=tuple(map(str, self.claims.rules)),
            git=git_state(),
            versions=versions(),
        )

    def _planned(self) -> list[CaseResult]:
        return without_completions(list(self._cases.values()), "incomplete", INCOMPLETE)

    def _without_model(self, key: _Key, error: Exception) -> list[CaseResult]:
        return without_completions(self._groups[key], "failed", described(error))


def opened_session(
    root: Path,
    command: str,
    progress: Progress,
    *,
    store: Path | str | None = None,
    scratch: Path | None = None,
    fresh: bool = False,
    **fields: Any,
) -> Session:
    """A session that keeps what it does below `root`; its store was found to be usable."""
    session = Session(command=command, progress=progress, root=root, **fields)
    session.store = CompletionStore(
        store or store_below(root),
        fresh=fresh,
        since=session.started,
        scratch=scratch,
        warn=progress.note,
    )
    session.check_store()
    return session
