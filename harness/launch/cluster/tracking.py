"""Where a submitted run stands, task by task: asked of its folder and of the cluster alone.

A task is `done` when a process of it has said so. Else its last job decides: while that lives the
task waits or runs, and after it the task is lacking, for the reason that is known.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from harness.files.atomic import write_file
from harness.launch.board import Pinned, read
from harness.launch.cluster.clusters import cluster_named, logs
from harness.launch.cluster.outcomes import TaskOutcome, last_outcome
from harness.launch.cluster.queue import RUNNING, WAITING, JobState
from harness.launch.cluster.submission import MERGE, Submission, given
from harness.resolve.progress import Counts

#: SLURM's words for how a job ended, and ours.
_ENDS = {
    "CANCELLED": "cancelled",
    "TIMEOUT": "timed out",
    "DEADLINE": "timed out",
    "OUT_OF_MEMORY": "out of memory",
    "PREEMPTED": "preempted",
    "NODE_FAIL": "node failed",
    "BOOT_FAIL": "node failed",
}
#: What slurmstepd and srun write of a step that had no memory left, in their several versions.
_KILLED = re.compile(r"^(slurmstepd|srun)\S* error: .*(oom[-_]kill|Out Of Memory)", re.MULTILINE)
_MERGED = "merged.json"

LACKING = ("failed", "not submitted", *dict.fromkeys(_ENDS.values()))
"""The states of tasks that have to be submitted again."""


@dataclass(frozen=True)
class TaskStatus:
    """One task: what it does, which job does it, and how far it is."""

    name: str
    state: str
    """waiting, running, done, or one of `LACKING`."""
    job: str = ""
    node: str = ""
    why: str = ""
    """Why it waits or is lacking, where that is known."""
    cases: int = 0
    counts: Counts = field(default_factory=Counts)
    """Of its last process."""
    alive: bool = False
    """Whether its job is in the queue, or runs."""

    @property
    def speed(self) -> float:
        """The tokens that this process has made in a second of its engines."""
        made = self.counts.tokens + self.counts.in_flight
        return made / self.counts.seconds if self.counts.seconds else 0.0


@dataclass(frozen=True)
class RunStatus:
    """All tasks of a run in the order of its grid, and the merge."""

    submission: Submission
    tasks: tuple[TaskStatus, ...]
    merge: TaskStatus
    board: Mapping[str, Pinned] = field(default_factory=dict)
    """What every process said last, those included that others have taken over from."""

    @property
    def lacking(self) -> list[TaskStatus]:
        """The tasks that have ended without a result."""
        return [task for task in self.tasks if task.state in LACKING]

    @property
    def ended(self) -> bool:
        """Whether nothing of it goes on any more."""
        return not any(task.state in {"waiting", "running"} for task in (*self.tasks, self.merge))


@dataclass(frozen=True)
class Merged:
    """What the last merge of a run has said."""

    status: int
    """0 where every case has a result and everything that is claimed of them holds, else 1."""
    lines: tuple[str, ...]

    def write(self, directory: Path) -> None:
        """Put it into the run's folder."""
        write_file(directory / _MERGED, json.dumps(asdict(self), indent=1) + "\n")


def status(submission: Submission, *, asking: bool = True) -> RunStatus:
    """Look where a run stands now.

    Args:
        submission: The run.
        asking: Whether the cluster is asked; otherwise every job counts as ended.

    Raises:
        StoreError: the cluster does not answer.
    """
    directory = submission.directory
    lines = list(given(directory))
    jobs = {name: job for line in lines for name, job in line.jobs.items()}
    host = next((line.host for line in reversed(lines) if line.jobs), "")
    cancelled: set[str] = set()
    for line in lines:
        cancelled = (cancelled | set(line.cancelled)) - line.jobs.keys()
    cluster = cluster_named(submission.cluster)
    states = cluster.states(submission, jobs.values(), host) if jobs and asking else {}
    board = read(directory)

    def of(name: str, cases: int) -> TaskStatus:
        said = last_outcome(directory, name)
        pinned = None if said is None else board.get(said.process)
        state, why = _state(directory, name, jobs.get(name), states, said)
        if name in cancelled and state in LACKING:
            state, why = "cancelled", ""
        job = jobs.get(name, "")
        node = (states[job].node if job in states else "") or ("" if said is None else said.host)
        counts = Counts() if pinned is None else pinned.counts
        alive = job in states and states[job].alive
        return TaskStatus(name, state, job, node, why, cases, counts, alive)

    tasks = submission.tasks.values()
    ordered = sorted(tasks, key=lambda task: (not task.first, task.name))
    return RunStatus(
        submission,
        tuple(of(task.name, len(task.cases)) for task in ordered),
        of(MERGE, 0),
        board,
    )


def described(now: RunStatus) -> dict[str, Any]:
    """Everything that is known of a run, as JSON values."""
    tasks = [
        {
            **asdict(task),
            "tokens_per_second": task.speed or None,
            "cases": now.submission.tasks[task.name].cases,
        }
        for task in now.tasks
    ]
    merged = {name: getattr(now.merge, name) for name in ("state", "job", "node", "why")}
    own = now.submission
    return {
        "run": own.run,
        "cluster": own.cluster,
        "directory": str(own.directory),
        "code": own.code,
        "specs": dict(own.specs),
        "ended": now.ended,
        "merge": merged,
        "tasks": tasks,
    }


def last_merged(directory: Path) -> Merged | None:
    """What the last merge has said; None before the first one."""
    try:
        return TypeAdapter(Merged).validate_json((directory / _MERGED).read_bytes())
    except (OSError, ValueError):
        return None


def lacking(now: RunStatus) -> Iterator[str]:
    """A line for every task that has no result, with the last line of its log, and what helps."""
    for task in now.lacking:
        yield f"task {task.name} {task.state} (job {task.job or 'none'}): {task.why}"
    if now.lacking:
        yield f"{len(now.lacking)} of {len(now.tasks)} tasks are lacking; " + again(now)


def again(now: RunStatus) -> str:
    """The command that does what is lacking."""
    return f"titrate resubmit {now.submission.run}"


def _state(
    directory: Path,
    name: str,
    job: str | None,
    states: Mapping[str, JobState],
    said: TaskOutcome | None,
) -> tuple[str, str]:
    """The state of a task, and why it is in it."""
    known = states.get(job or "")
    own = said if said is not None and said.job == job else None
    if said is not None and said.state == "done" and (name != MERGE or own is not None):
        return "done", ""
    if job is None:
        return "not submitted", ""
    if known is not None and known.state in WAITING:
        return "waiting", "" if known.reason in {"None", "Resources", "Priority"} else known.reason
    if known is not None and known.state in RUNNING:
        return "running", ""
    written = logs(directory, job)
    state = _ENDS.get("" if known is None else known.state, "failed")
    # The job of a task that srun has started fails, whatever became of its step; the log tells.
    if state == "failed" and any(_KILLED.search(_end(log)) for log in written):
        state = "out of memory"
    if own is not None and own.state == "failed" and state != "out of memory":
        return "failed", own.why
    return state, last_line(written) or "it died without a word"


def last_line(logs: Iterable[Path]) -> str:
    """The last line of the first of some logs that has any.

    What submitit and srun say around a task is told only where the task has said nothing.
    """
    around = ""
    for log in logs:
        lines = [line.strip() for line in _end(log).splitlines()]
        lines = [line for line in lines if line and not line.startswith("submitit INFO ")]
        told = [line for line in lines if not line.startswith("srun: ")]
        if told:
            return told[-1]
        errors = [line for line in lines if " error: " in line]
        around = around or next(reversed(errors or lines), "")
    return around


def _end(log: Path) -> str:
    """The last lines of a log; nothing of one that cannot be read."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 65536))
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""
