"""What a job of a cluster does: one task of a submitted run, or the report of all of them.

A task is a process of the run as a worker of pytest-xdist is one: it takes what is stored, stores
what it makes at once, and adds its results to the run's folder under a name of its own. Whatever
ends it, another job goes on where it was.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from uuid import uuid4

from harness.errors import TitrateError
from harness.launch.board import Pin
from harness.launch.cluster.outcomes import TaskOutcome, last_outcome
from harness.launch.cluster.snapshot import check_code, check_unchanged
from harness.launch.cluster.submission import MERGE, Submission
from harness.launch.local import run_all
from harness.launch.project import read_project
from harness.options import as_titrate, spelling
from harness.registry import before_next_use
from harness.runs.planned_case import PlannedCase
from harness.runs.requirements import unmet
from harness.runs.session import Session, opened_session
from harness.spec import Case
from harness.store.folder import RunFolder
from harness.store.scratch import scratch_folder

_TOLD = 5.0
"""Seconds between two tellings of how far a task is: many tasks write to one file system."""


def do(directory: str, name: str) -> None:
    """Do a task of the run in a folder, in the place where it was submitted and with its code.

    Raises:
        TitrateError: it could not be done; what was done of it is kept.
    """
    with spelling(as_titrate):
        _done(Submission.read(Path(directory)), name)


def _done(submission: Submission, name: str) -> None:
    """Do a task, and note how that went."""
    os.chdir(submission.root)
    before_next_use(partial(read_project, Path(submission.root)))
    process = f"{name}-{uuid4().hex[:6]}"
    outcome = TaskOutcome(
        process, _job(), platform.node(), os.getpid(), datetime.now(UTC).isoformat(), "running"
    )
    last = last_outcome(submission.directory, name)
    if name != MERGE and last is not None and last.state == "done":
        return
    outcome.write(submission.directory, name)
    try:
        check_code(submission.code)
        if name == MERGE:
            _merge(submission)
        else:
            check_unchanged(submission.files)
            task = submission.tasks[name]
            _run(submission, process, task.cases, first=task.first)
    except KeyboardInterrupt as preempted:  # what `job.py` makes of the cluster's signals, too
        outcome.ended("preempted", str(preempted)).write(submission.directory, name)
        raise
    except BaseException as error:
        outcome.ended("failed", f"{error}" or type(error).__name__).write(
            submission.directory, name
        )
        raise
    outcome.ended("done").write(submission.directory, name)


def _merge(submission: Submission) -> None:
    """Make the report, and say what there is to say of the run."""
    from harness.launch.cluster.merging import merge_run

    for line in merge_run(submission).lines:
        print(line, flush=True)  # noqa: T201 - what a job prints is its log


def _run(submission: Submission, process: str, names: Sequence[str], *, first: bool) -> None:
    """Run cases of a run that was begun, or make the baselines that they share with others.

    Raises:
        TitrateError: one of them could not be run. Those after it were.
    """
    folder = RunFolder(submission.directory)
    manifest = folder.manifest()
    cases = folder.planned(names)
    refused = [
        f"{id_} {reason}" for id_, case in cases.items() if (reason := unmet(case.experiment))
    ]
    if refused:
        raise TitrateError(f"{refused[0]}; let its resources ask for a node that has it")
    session = opened_session(
        Path(submission.root),
        manifest.command,
        Pin(submission.directory, process, _TOLD),
        store=submission.store,
        scratch=scratch_folder(submission.scratch),
        fresh=submission.fresh,
        further=submission.further,
        process=process,
        id=manifest.id,
        started=manifest.started,
        begun=True,
        recorded=frozenset() if first else folder.recorded("cases-first-*.jsonl"),
    )
    try:
        stopped = _asked(session, list(cases.values()), submission, first=first)
    finally:
        session.progress.close()
        session.close()
    if stopped is not None:
        raise stopped


def _asked(
    session: Session, cases: Sequence[Case], submission: Submission, *, first: bool
) -> BaseException | None:
    """Ask for what a task is to make; what stopped it, if anything did."""
    from harness.runs.checks import planned  # imports torch

    own = [planned(case, unsafe_code=submission.unsafe_code) for case in cases]
    session.plan(own)
    if not first:
        return run_all(session, own)
    baselines: dict[str, PlannedCase] = {}
    for case in own:
        baseline = case.baseline or case
        baselines.setdefault(baseline.id, baseline)
    return run_all(session, list(baselines.values()))


def _job() -> str:
    """This job as the cluster writes it."""
    array, task = (os.environ.get(f"SLURM_ARRAY_{each}_ID") for each in ("JOB", "TASK"))
    if array is not None:
        return f"{array}_{task}"
    return os.environ.get("SLURM_JOB_ID") or os.environ.get("SUBMITIT_LOCAL_JOB_ID", "")
