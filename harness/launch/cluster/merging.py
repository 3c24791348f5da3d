"""The report of a submitted run, from what its tasks have recorded: the last job of it.

What tasks have not done is in the report as incomplete, for the reason that is known of the task.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from harness.claims.claims import Claims
from harness.errors import StoreError
from harness.launch.board import total
from harness.launch.closing import told
from harness.launch.cluster.submission import Submission
from harness.launch.cluster.tracking import Merged, RunStatus, lacking, status
from harness.processes.beside import beside, cores
from harness.report.report import RunReport
from harness.report.run_info import RunInfo
from harness.report.write import write
from harness.report.written_samples import WrittenSamples
from harness.resolve.progress import Counts
from harness.runs.agreement import with_one_baseline
from harness.runs.conclude import Finished, conclude, run_info, told_once
from harness.store.folder import RunFolder
from harness.store.results import CaseResult


def merge_run(submission: Submission) -> Merged:
    """Write the report of a run, and keep what there is to say of it in the run's folder.

    Raises:
        StoreError: its records cannot be read.
        ReportError: the report cannot be written.
    """
    with _without_collection():
        finished, now, shown = _finished(submission)
    lines = [*told(finished, ran=True, shown=shown), *lacking(now)]
    merged = Merged(1 if finished.problems or finished.failed else 0, tuple(lines))
    merged.write(submission.directory)
    return merged


def _ended(submission: Submission) -> tuple[RunStatus, Counts]:
    """Where the run stands, and what its processes have counted together.

    The nodes of some clusters cannot ask, and all tasks have ended.
    """
    try:
        now = status(submission)
    except StoreError:
        now = status(submission, asking=False)
    return replace(now, board={}), total(now.board)


def _finished(submission: Submission) -> tuple[Finished, RunStatus, str]:
    """The report, where its run stands, and its table."""
    folder = RunFolder(submission.directory, warn=print)
    manifest = folder.manifest()
    claims = Claims.read(manifest.gates, manifest.compare, manifest.rules, submission.save)
    forked = cores() > 1
    with beside(partial(_ended, submission), forked=forked) as ended:
        came = folder.results(forked=forked)
        now, counts = ended()
    results = told_once(with_one_baseline([_explained(each, now) for each in came]))
    info = _of_tasks(run_info(manifest, *folder.engines(), datetime.now(UTC), counts))
    target = Path(manifest.report)
    with WrittenSamples(results, target, forked=forked) as begun:
        shown: list[str] = []
        writing = partial(_write, begun=begun, shown=shown.append, forked=forked)
        finished = conclude(info, results, target, folder.findings(), claims, writing)
    return finished, now, shown[0]


def _of_tasks(info: RunInfo) -> RunInfo:
    """What is said of the run, without the memory of this process, which ran none of it."""
    assert info.cost is not None, "it has just ended"
    return info.model_copy(update={"cost": info.cost.model_copy(update={"peak_memory_gib": {}})})


def _write(
    report: RunReport,
    results: Sequence[CaseResult],
    directory: Path,
    *,
    begun: WrittenSamples,
    shown: Callable[[str], object],
    forked: bool,
) -> None:
    gc.freeze()
    gc.enable()
    write(report, results, directory, begun=begun, shown=shown, forked=forked)


@contextmanager
def _without_collection() -> Iterator[None]:
    """Leave what is read, millions of values that refer to nothing, out of searches for cycles.

    They would be looked through again and again, which is a fifth of the time that a merge takes.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.unfreeze()
        gc.enable()


def _explained(result: CaseResult, now: RunStatus) -> CaseResult:
    """The result; of a case whose task is lacking, with that as its reason."""
    if result.status != "incomplete":
        return result
    tasks = now.submission.tasks
    for task in now.lacking:
        if result.case.id in tasks[task.name].cases and not tasks[task.name].first:
            return replace(result, error=f"task {task.name} {task.state}: {task.why}")
    return result
