"""Submitting again what is lacking of a run, and ending one: by whoever sees its folder."""

from __future__ import annotations

import platform
from pathlib import Path

from harness.errors import TitrateError
from harness.launch.cluster.clusters import cluster_named
from harness.launch.cluster.submission import MERGE, Given, Submission, given, note
from harness.launch.cluster.tracking import RunStatus, status
from harness.spec.resources import mebibytes_of


def resubmit(submission: Submission) -> tuple[list[str], bool]:
    """Give what is lacking of a run to its cluster once more, and then the merge.

    A task that ran out of memory gets twice as much, where it is known how much it had.

    Returns:
        The names of the tasks, and whether the merge was given as well.

    Raises:
        TitrateError: the cluster refuses; nothing has changed then.
    """
    cluster = cluster_named(submission.cluster)
    cluster.check_usable()
    now = status(submission)
    names = _lacking(now)
    # A job whose task is done may hang all the same, if its node has lost sight of it.
    hanging = [task.job for task in now.tasks if task.state == "done" and task.alive]
    stuck = hanging and now.merge.state == "waiting"
    if not names and not stuck and now.merge.state in {"waiting", "running", "done"}:
        return [], False
    if not Path(submission.code).is_dir():
        raise TitrateError(
            f"{submission.code}: the code that the run was submitted with is gone; submit a new "
            "run: what is stored is not made again"
        )
    memory = dict(_memory(submission))
    for task in now.lacking:
        had = memory.get(task.name) or submission.resources[task.name].memory
        had = had or cluster.memory_of(task.job)
        if task.state == "out of memory" and had is not None:
            memory[task.name] = f"{2 * mebibytes_of(had)}M"
    running = [task.job for task in now.tasks if task.state in {"waiting", "running"}]
    asked = {name: size for name, size in memory.items() if name in names}
    cluster.submit(submission, names, asked, running)
    if now.merge.state in {"waiting", "running"} and submission.cluster != "local":
        cluster.cancel(submission, [now.merge.job, *hanging])
    return names, True


def cancel(submission: Submission) -> list[str]:
    """End everything of a run that waits or runs; returns the names of these tasks.

    Raises:
        TitrateError: it is another user's, or the cluster does not answer.
    """
    now = status(submission)
    alive = [task for task in (*now.tasks, now.merge) if task.state in {"waiting", "running"}]
    cluster_named(submission.cluster).cancel(submission, list({task.job for task in alive}))
    names = [task.name for task in alive]
    if names:
        note(submission.directory, Given({}, platform.node(), cancelled=tuple(names)))
    return [name for name in names if name != MERGE]


def _lacking(now: RunStatus) -> list[str]:
    """The tasks to be submitted; none of those that come first where nothing comes after them."""
    tasks = now.submission.tasks
    names = [task.name for task in now.lacking]
    return names if any(not tasks[name].first for name in names) else []


def _memory(submission: Submission) -> dict[str, str]:
    """How much memory tasks were given last, where that is not what the submission says."""
    return {
        name: size for line in given(submission.directory) for name, size in line.memory.items()
    }
