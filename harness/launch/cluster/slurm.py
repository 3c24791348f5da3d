"""Tasks as arrays of SLURM jobs: what is asked of sbatch, by submitit.

Each group of tasks is an array, or several where SLURM's `MaxArraySize` is smaller. Those that come
first have one of their own, after which the others begin. The report is a job that waits for all.
"""

from __future__ import annotations

import io
import os
import shlex
import shutil
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import redirect_stderr, suppress
from dataclasses import dataclass
from math import ceil
from typing import Any

from harness.errors import OptionError, TitrateError, one_line
from harness.launch.cluster import queue
from harness.launch.cluster.clusters import jobs_below
from harness.launch.cluster.dealing import chunks, shares
from harness.launch.cluster.job import Job
from harness.launch.cluster.queue import JobState, memory_of
from harness.launch.cluster.submission import MERGE, ArrayTask, Given, Submission, note
from harness.spec.resources import Resources

__all__ = ["cancel", "check_usable", "memory_of", "scripts", "states", "submit"]

#: How often a task goes on in the queue after its time limit.
_MOST_TIMEOUTS = 100
#: Seconds between the signal that a limit is near and the limit, where the limit is long enough.
_NOTICE = 90
_SAYS = "sbatch: error: "
#: What the merge asks for, beside the partition and the account of the tasks.
_MERGING = Resources(cpus=2, memory="4G", time="120")


def check_usable() -> None:
    """Raise `OptionError` where there is no submitit, or no sbatch."""
    if shutil.which("sbatch") is None:
        raise OptionError(
            "cluster",
            "slurm: there is no sbatch on PATH; log in where jobs are submitted, or use local",
        )


@dataclass(frozen=True)
class TaskArray:
    """Tasks that are submitted together, with what they ask for."""

    tasks: tuple[ArrayTask, ...]
    resources: Resources
    parallelism: int | None
    after: tuple[int, ...]
    """Positions of the arrays that must have ended."""


def submit(
    submission: Submission,
    names: Collection[str],
    memory: Mapping[str, str],
    running: Collection[str],
) -> None:
    """As every cluster: all arrays, then the merge; none stays in the queue if one is refused."""
    from submitit import SlurmExecutor
    from submitit.core.utils import FailedJobError, FailedSubmissionError

    folder = jobs_below(submission.directory)
    arrays = arrays_of(submission, names, memory, queue.largest_array())
    job = Job()
    made: list[str] = []
    jobs: dict[str, str] = {}

    def given(own: Sequence[str], parameters: Mapping[str, Any]) -> str:
        executor = SlurmExecutor(folder, max_num_timeout=_MOST_TIMEOUTS)
        executor.update_parameters(**parameters)
        with redirect_stderr(io.StringIO()):
            found = executor.map_array(job, [str(submission.directory)] * len(own), own)
        jobs.update((name, each.job_id) for name, each in zip(own, found, strict=True))
        made.append(found[0].job_id.partition("_")[0])
        return made[-1]

    try:
        for array in arrays:
            after = [made[position] for position in array.after]
            given([task.name for task in array.tasks], _parameters(submission, array, after))
        waited = [*made, *dict.fromkeys(each.partition("_")[0] for each in running)]
        given([MERGE], _merging(submission, waited))
    except (FailedJobError, FailedSubmissionError) as error:
        with suppress(TitrateError):  # what sbatch says comes first
            queue.cancel(made)
        said = [line.removeprefix(_SAYS).strip() for line in str(error).splitlines()]
        why = "; ".join(filter(None, said)) or "it did not say why"
        raise TitrateError(one_line(f"{_SAYS}{why}; nothing was submitted")) from None
    note(submission.directory, Given(jobs, os.uname().nodename, dict(memory)))


def scripts(submission: Submission) -> Iterator[str]:
    """The scripts that sbatch would be given; jobs that are waited for are named by their place."""
    # Of the executor it is asked only through this function, which needs no sbatch.
    from submitit.slurm.slurm import _make_sbatch_string

    folder = jobs_below(submission.directory)
    command = (
        f"{shlex.quote(sys.executable)} -u -m submitit.core._submit {shlex.quote(str(folder))}"
    )
    arrays = arrays_of(submission, submission.tasks, {}, queue.largest_array())
    for array in arrays:
        parameters = _parameters(submission, array, [f"ARRAY{each + 1}" for each in array.after])
        count = len(array.tasks) if len(array.tasks) > 1 else None
        yield _make_sbatch_string(command=command, folder=folder, map_count=count, **parameters)
    waited = [f"ARRAY{position + 1}" for position in range(len(arrays))]
    yield _make_sbatch_string(command=command, folder=folder, **_merging(submission, waited))


def states(submission: Submission, jobs: Iterable[str], host: str) -> dict[str, JobState]:  # noqa: ARG001 - as every cluster
    """As every cluster; any machine of it can tell."""
    return queue.job_states(jobs)


def cancel(submission: Submission, jobs: Collection[str]) -> None:  # noqa: ARG001 - the same
    """As every cluster."""
    queue.cancel(jobs)


def arrays_of(
    submission: Submission, names: Collection[str], memory: Mapping[str, str], largest: int
) -> list[TaskArray]:
    """The arrays of some tasks, each after those that it needs.

    Where only so many tasks may run at once, each group has its share of them, and each of its
    arrays a share of that; where there are more of these, some wait for others to end.
    """
    groups = [
        (group, own)
        for group in submission.groups
        if (own := [task for task in group.tasks if task.name in names])
    ]
    most = submission.parallelism
    abreast = len(groups) if most is None else min(most, len(groups))
    share = shares(most, abreast)
    arrays: list[TaskArray] = []
    ends: list[tuple[int, ...]] = []
    for number, (group, own) in enumerate(groups):
        after = ends[number - abreast] if number >= abreast else ()
        for first in (True, False):
            limit = share[number % abreast]
            stage = [
                (part, size)
                for size in dict.fromkeys(memory.get(task.name) for task in own)
                for part in chunks(
                    [t for t in own if t.first == first and memory.get(t.name) == size],
                    largest,
                    limit,
                    lambda task: task.cost,
                )
            ]
            start = len(arrays)
            wide = len(stage) if limit is None else min(limit, len(stage))
            limits = shares(limit, wide)
            for place, (part, size) in enumerate(stage):
                asked = group.resources
                if size is not None:
                    asked = asked.model_copy(update={"memory": size})
                waits = (*after, *[start + place - wide] * (place >= wide))
                arrays.append(TaskArray(tuple(part), asked, limits[place % wide], waits))
            if stage:
                after = tuple(range(start, len(arrays)))
        ends.append(after)
    return arrays


def _parameters(submission: Submission, array: TaskArray, after: Sequence[str]) -> dict[str, Any]:
    """What submitit is told of an array."""
    asked = array.resources
    own = {
        "job_name": f"titrate-{submission.run}",
        "time": asked.minutes,
        "signal_delay_s": min(_NOTICE, ceil(asked.minutes * 60 / 4)),
        "mem": None if asked.mebibytes is None else f"{asked.mebibytes}M",
        "cpus_per_task": asked.cpus,
        "gpus_per_node": asked.gpus or None,
        "partition": asked.partition,
        "constraint": asked.constraint,
        "account": asked.account,
        "dependency": f"afterany:{':'.join(after)}" if after else None,
        "array_parallelism": array.parallelism or len(array.tasks),
        "setup": [*asked.setup, *_environment(submission, asked)],
        # Since SLURM 22.05 srun does not take it over from sbatch.
        "srun_args": [f"--cpus-per-task={asked.cpus}"] if asked.cpus else None,
        "additional_parameters": {"requeue": True},
    }
    return {name: value for name, value in own.items() if value is not None}


def _merging(submission: Submission, after: Sequence[str]) -> dict[str, Any]:
    """What submitit is told of the merge, which is charged as the tasks of the first group are."""
    first = submission.groups[0].resources
    kept = {name: getattr(first, name) for name in ("partition", "account", "setup")}
    array = TaskArray((ArrayTask(MERGE, ()),), _MERGING.model_copy(update=kept), None, ())
    return _parameters(submission, array, after)


def _environment(submission: Submission, asked: Resources) -> list[str]:
    """Lines of shell: the code that was submitted is imported, by as many threads as asked for."""
    lines = [
        f"export PYTHONPATH={shlex.quote(submission.code)}${{PYTHONPATH:+:$PYTHONPATH}}",
        "export PYTHONSAFEPATH=1",  # else `python -m` looks in its folder first, maybe a checkout
    ]
    if asked.cpus:
        lines.append(f"export OMP_NUM_THREADS=${{OMP_NUM_THREADS:-{asked.cpus}}}")
    return lines
