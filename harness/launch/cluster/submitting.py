"""Submitting a run: what it is, found to be sound before anything is written or submitted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from shutil import rmtree

from harness.claims.claims import Claims
from harness.errors import OptionError, TitrateError
from harness.launch.cluster.clusters import cluster_named
from harness.launch.cluster.snapshot import code_below, digests, imported, keep_code, read_by
from harness.launch.cluster.submission import Submission, note_place
from harness.launch.project import conftest
from harness.report.write import check_writable, default_directory
from harness.resolve.progress import Progress
from harness.runs.requirements import unmet
from harness.runs.session import Session, opened_session
from harness.spec import Case
from harness.store.places import store_below


@dataclass(frozen=True)
class Wanted:
    """How a run is to be submitted, beside what its specs say."""

    cluster: str
    tasks: int | None = None
    """At most so many for each group of cases; one per case where it is None."""
    parallelism: int | None = None
    store: Path | None = None
    scratch: str | None = None
    fresh: bool = False
    unsafe_code: bool = False
    further: bool = False


def prepared(
    cases: Sequence[Case],
    directory: Path | None,
    command: str,
    progress: Progress,
    wanted: Wanted,
    claims: Claims,
) -> tuple[Session, Submission]:
    """A run that could be submitted, found to be sound; nothing of it is written yet.

    Raises:
        TitrateError: what a run of these cases in this process would refuse.
        OptionError: nothing can be submitted here.
    """
    if find_spec("submitit") is None:
        raise OptionError(
            "cluster",
            f"{wanted.cluster}: needs submitit, which is not installed; pip install "
            "'pytest-titrate[cluster]'",
        )
    if wanted.cluster == "local":
        cases = [case for case in cases if unmet(case.experiment) is None]
    from harness.launch.cluster.arrays import grouped
    from harness.runs.checks import planned  # imports torch

    root = Path.cwd()
    selected = [planned(case, unsafe_code=wanted.unsafe_code) for case in cases]
    session = opened_session(
        root, command, progress, store=wanted.store, fresh=wanted.fresh, claims=claims
    )
    session.plan(selected)
    session.report = Path(directory or default_directory(root, session.started))
    if check_writable(session.report):
        progress.note(f"the report in {session.report} will be replaced")
    read = read_by(case.case for case in selected)
    own = conftest(root)
    brought = imported(root if own is None else own.parent)
    submission = Submission(
        run=session.id,
        cluster=wanted.cluster,
        root=str(root),
        store=str((wanted.store or store_below(root)).absolute()),
        scratch=wanted.scratch,
        code=str(code_below(root)),
        files=read | digests([*brought, *([] if own is None else [str(own)])]),
        specs=digests(str(Path(case.source.file).absolute()) for case in cases if case.source.file),
        groups=grouped(list(session.cases.values()), wanted.tasks),
        fresh=wanted.fresh,
        unsafe_code=wanted.unsafe_code,
        save=claims.save_as,
        parallelism=wanted.parallelism,
        further=wanted.further,
    )
    return session, submission


def submit(session: Session, submission: Submission) -> None:
    """Write down what a run is to do, and give its tasks to the cluster.

    Raises:
        TitrateError: nothing can be written, or the cluster refuses; the run is not begun then.
    """
    cluster = cluster_named(submission.cluster)
    cluster.check_usable()
    keep_code(Path(submission.code))
    session.begin()
    submission.write()
    try:
        cluster.submit(submission, list(submission.tasks), {}, [])
    except TitrateError:
        rmtree(submission.directory, ignore_errors=True)
        raise
    note_place(submission)
