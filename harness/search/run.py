"""A search from its spec to its report: trials until there are enough, then the test samples.

Any number of processes may run the same command at once, on one machine or on several with a
common storage: each takes trials until none is left. The one that tells the last value scores the
test samples and writes the report; a search that was killed goes on when its command is run again.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import optuna
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from optuna.trial import TrialState
from sqlalchemy.exc import SQLAlchemyError

from harness.engines import open_engine
from harness.engines.contract import Engine
from harness.errors import FieldError, SpecError, StoreError, TaskError
from harness.report.write import check_writable, default_directory
from harness.resolve.progress import Counts
from harness.resolve.resolver import Resolver
from harness.runs.deferred import DeferredEngine
from harness.runs.source import follow
from harness.search.conclusion import Searched, conclude_search, unfinished
from harness.search.evaluate import Evaluator
from harness.search.leases import LEASE, Heart, Orphans, Worker
from harness.search.line import SearchLine
from harness.search.setup import Setup, read_search, set_up
from harness.search.space_needs import needs_of_space
from harness.search.study import keeps_conditions, open_storage, open_study, quiet, shown_url
from harness.search.trials import ERROR, Batch, ask, counted
from harness.store.completions import CompletionStore
from harness.store.places import store_below

#: Seconds between two looks at the trials of other workers, when there is nothing else to do.
_LOOK = 1.0


def search(
    spec: Path | str,
    overrides: Sequence[str] = (),
    directory: Path | str | None = None,
    *,
    root: Path | None = None,
    command: str = "harness.search",
    store: Path | None = None,
    unsafe_code: bool = False,
    line: SearchLine | None = None,
    lease: float = LEASE,
) -> Searched:
    """Run the search of a spec file, with any other process that runs it, and write its report.

    The study lies below `root`, by default the working directory, unless the spec has another
    storage; completions go to `store`, by default `.titrate/store`. A worker of another machine is
    taken for dead after `lease` seconds without a sign of life.

    Raises:
        SpecError: the spec cannot be searched; found before a model is loaded.
        TaskError: no trial came to a value.
    """
    with quiet():
        return _search(
            Path(spec),
            overrides,
            directory,
            root or Path.cwd(),
            command=command,
            store=store,
            unsafe_code=unsafe_code,
            line=line,
            lease=lease,
        )


def _search(
    spec: Path,
    overrides: Sequence[str],
    directory: Path | str | None,
    root: Path,
    *,
    command: str,
    store: Path | None,
    unsafe_code: bool,
    line: SearchLine | None,
    lease: float,
) -> Searched:
    experiment, source = read_search(spec, overrides)
    ready = set_up(experiment, source, root, unsafe_code=unsafe_code)
    started = datetime.now(UTC)
    report = Path(directory or default_directory(root, started))
    check_writable(report)
    line = line or SearchLine(sys.stderr)
    line.trials = ready.settings.trials
    for warning in ready.warnings:
        line.warn(warning)
    secret, shown = ready.storage, shown_url(ready.storage)  # a URL may hold a password
    command = command.replace(secret, shown)
    try:
        storage = open_storage(ready.storage)
        study = open_study(storage, ready.study, ready.settings, ready.identity, ready.storage)
    except FieldError as error:
        raise SpecError(str(source.locate(error)).replace(secret, shown)) from error
    kept = CompletionStore(store or store_below(root), warn=line.note)
    kept.check_writable()
    working = _Working(ready, study, storage, kept, line, lease)
    try:
        if not working.run_trials():
            return unfinished(ready, study)
        working.check_any_complete()
        return conclude_search(
            ready,
            study,
            storage,
            working.evaluator,
            report,
            started=started,
            command=command,
            unsafe_code=unsafe_code,
        )
    except (SQLAlchemyError, StorageInternalError) as error:
        said = str(error).strip().splitlines()[0]
        raise StoreError(
            f"the study in {shown_url(ready.storage)} is out of reach: {said}; run the command "
            "again: trials that have ended are not repeated"
        ) from error
    finally:
        line.close()
        working.close()


@dataclass
class _Working:
    """One process at work on a study."""

    ready: Setup
    study: optuna.Study
    storage: RDBStorage
    store: CompletionStore
    line: SearchLine
    lease: float
    worker: Worker = field(default_factory=Worker.this)

    def __post_init__(self) -> None:
        base = self.ready.space.base
        counts = Counts()

        def opening() -> Engine:
            self.line.note(f"loading {base.model}")
            counts.loads += 1
            return open_engine(base.model, base.engine, needs_of_space(self.ready.space))

        engine = DeferredEngine(base.model, base.engine, opening, self.store)
        others: dict[str, Engine] = {}
        self.evaluator = Evaluator(
            engine=engine,
            others=others,
            resolver=Resolver(engine, self.line, self.store, others),
            progress=self.line,
            counts=counts,
            store=self.store,
        )
        self.watch = Orphans(self.study, self.storage, self.lease)

    def run_trials(self) -> bool:
        """Take trials until none is left; whether this process has seen to the last one."""
        waited = False
        with Heart(self.study, self.worker):
            while True:
                again = self.watch.queue_again()
                if again:
                    self.line.note(f"trials {_listed(again)} were left by a worker that died")
                batch = ask(
                    self.study,
                    self.ready.settings,
                    self.ready.space,
                    self.worker,
                    self.watch.put_back,
                )
                if batch:
                    waited = False
                    self._run(batch)
                    continue
                left = counted(
                    self.study.get_trials(
                        deepcopy=False, states=(TrialState.RUNNING, TrialState.WAITING)
                    ),
                    self.ready.settings,
                )
                if not left:
                    return not waited
                if not waited:
                    numbers = _listed([trial.number for trial in left])
                    self.line.note(f"waiting for trials {numbers} of other workers")
                waited = True
                time.sleep(_LOOK)

    def _run(self, batch: Sequence[optuna.Trial]) -> None:
        try:
            trials = Batch(self.study, batch, self.ready, lambda: self.line.trials_done(self.study))
            follow(trials, self.evaluator.results)
        except BaseException:
            with suppress(SQLAlchemyError, StorageInternalError):
                self.watch.release(trial.number for trial in batch)
            raise

    def check_any_complete(self) -> None:
        """Raise `TaskError` where every trial has failed, or breaks a condition."""
        trials = self.study.get_trials(deepcopy=False)
        complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
        if any(map(keeps_conditions, complete)):
            return
        if complete:
            settings = self.ready.settings
            conditions = " and ".join([*settings.bounds, *settings.safe])
            raise TaskError(
                f"none of {len(complete)} complete trials of {self.ready.name} keeps {conditions}; "
                "loosen subject_to, or let the space reach weaker doses"
            )
        errors = [trial.user_attrs[ERROR] for trial in trials if ERROR in trial.user_attrs]
        raise TaskError(
            f"no trial of {self.ready.name} came to a value: {len(trials)} failed, first: "
            f"{errors[0] if errors else 'no error was kept'}"
        )

    def close(self) -> None:
        """Give the model's memory and the files back."""
        for engine in (self.evaluator.engine, *self.evaluator.others.values()):
            engine.close()
        self.store.close()
        self.storage.engine.dispose()


def _listed(numbers: Sequence[int]) -> str:
    shown = ", ".join(map(str, numbers[:8]))
    return f"{shown} and {len(numbers) - 8} more" if len(numbers) > 8 else shown
