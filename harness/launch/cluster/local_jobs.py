"""Tasks as processes of this machine, by submitit's local executor: a cluster of one node.

A process of its own, the launcher, starts them in order, so many at a time, and ends with the
merge. It outlives the shell that started it. A process that has ended is never waited for.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from harness.errors import StoreError, TitrateError
from harness.launch.cluster.clusters import jobs_below
from harness.launch.cluster.job import Job
from harness.launch.cluster.queue import JobState
from harness.launch.cluster.submission import MERGE, Given, Submission, note
from harness.runs.accelerators import VARIABLE, visible
from harness.spec.resources import Resources

_LAUNCHER = "launcher-"
"""What the job of a task is called while it waits; the launcher's process id follows."""
_LOOK = 0.1  # seconds between two looks at what runs
_MOST_TIMEOUTS = 5  # submitit starts a local job again at most so often


def check_usable() -> None:
    """Everything can be done here."""


def scripts(submission: Submission) -> Iterator[str]:
    """A line for each task, in the order in which they are started."""
    command = f"{sys.executable} -u -m submitit.core._submit {jobs_below(submission.directory)}"
    yield f"# {_abreast(submission)} at a time"
    for name in [*submission.tasks, MERGE]:
        yield f"{command}  # {name}"


def submit(
    submission: Submission,
    names: Collection[str],
    memory: Mapping[str, str],  # noqa: ARG001 - nothing bounds the memory of a process here
    running: Collection[str],
) -> None:
    """As every cluster: start the launcher, which starts all others."""
    folder = jobs_below(submission.directory)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "launcher.log").open("ab") as log:
        launcher = subprocess.Popen(
            [sys.executable, "-m", __name__, str(submission.directory)],
            cwd=submission.root,
            env=environment(submission),
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            text=True,
            start_new_session=True,
        )
    job = f"{_LAUNCHER}{launcher.pid}"
    note(submission.directory, Given(dict.fromkeys([*names, MERGE], job), platform.node()))
    assert launcher.stdin is not None
    json.dump([list(names), list(running)], launcher.stdin)
    launcher.stdin.close()


def environment(submission: Submission) -> dict[str, str]:
    """This process's environment, in which the code that was submitted is imported."""
    before = os.environ.get("PYTHONPATH")
    path = submission.code if before is None else f"{submission.code}{os.pathsep}{before}"
    # Else `python -m` looks in its folder first, which may be a checkout.
    return {**os.environ, "PYTHONPATH": path, "PYTHONSAFEPATH": "1"}


def states(submission: Submission, jobs: Iterable[str], host: str) -> dict[str, JobState]:
    """As every cluster, on the host itself.

    Raises:
        StoreError: this is another one.
    """
    found = {}
    node = platform.node()
    if host != node:
        raise StoreError(f"{submission.run}: its tasks are processes of {host}; ask there")
    for job in set(jobs):
        process = _process(job, submission)
        if process is not None:
            found[job] = JobState("PENDING" if job.startswith(_LAUNCHER) else "RUNNING", node)
    return found


def memory_of(job: str) -> None:
    """Nothing bounds it."""


def cancel(submission: Submission, jobs: Collection[str]) -> None:
    """As every cluster: the launcher first, so that nothing new begins; then what runs."""
    for job in sorted(jobs, key=lambda job: not job.startswith(_LAUNCHER)):
        process = _process(job, submission)
        if process is not None:
            try:
                below = [] if job.startswith(_LAUNCHER) else process.children(recursive=True)
                for each in (process, *below):
                    with suppress(psutil.NoSuchProcess):
                        each.terminate()
            except psutil.NoSuchProcess:
                continue
            except psutil.AccessDenied as error:
                raise TitrateError(
                    f"process {error.pid} may not be ended; only the user who submitted the run "
                    "can do that"
                ) from error


def _process(job: str, submission: Submission) -> psutil.Process | None:
    """The living process of a job; ids are given again, to processes with other arguments."""
    with suppress(psutil.Error, ValueError):
        process = psutil.Process(int(job.removeprefix(_LAUNCHER)))
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        # While the kernel loads a program it has a file, and no arguments yet: seen in one look of
        # three, right after the start, on a busy machine. A thread of the kernel has neither.
        line = process.cmdline()
        if str(submission.directory) in " ".join(line) or (not line and process.exe()):
            return process
    return None


def _abreast(submission: Submission) -> int:
    """How many tasks run at once: as asked for, or as have their devices and cores.

    A task that asks for no number of cores has all of them.
    """
    if submission.parallelism is not None:
        return submission.parallelism
    gpus = max(group.resources.gpus for group in submission.groups)
    if gpus:
        return max(1, len(visible()) // gpus)
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    asked = max((group.resources.cpus or cores) for group in submission.groups)
    return max(1, cores // asked)


class _Launcher:
    """Starts tasks as others end."""

    def __init__(self, submission: Submission) -> None:
        self._submission = submission
        self._resources = submission.resources
        self._job = Job()
        self._running: dict[str, Any] = {}
        self._places: dict[str, int] = {}

    def run(self, names: Collection[str], running: Iterable[str]) -> None:
        """All of these tasks, then the merge, when other running jobs have ended as well."""
        for group in self._submission.groups:
            for first in (True, False):
                own = [each.name for each in group.tasks if each.first == first]
                for name in [name for name in own if name in names]:
                    self._start(name)
                if first and set(own) & set(names):
                    self._wait(1)
        self._wait(1)
        others = list(running)
        while states(self._submission, others, platform.node()):
            time.sleep(_LOOK)
        self._start(MERGE)
        self._wait(1)

    def _start(self, name: str) -> None:
        """Start a task as soon as there is room for it."""
        from submitit import LocalExecutor

        abreast = _abreast(self._submission)
        self._wait(abreast)
        asked = self._resources.get(name, Resources())
        place = next(each for each in range(abreast) if each not in self._places.values())
        devices = ",".join(visible()[place * asked.gpus : (place + 1) * asked.gpus])
        executor = LocalExecutor(
            jobs_below(self._submission.directory), max_num_timeout=_MOST_TIMEOUTS
        )
        executor.update_parameters(
            timeout_min=asked.minutes,
            setup=[*([f"export {VARIABLE}={devices}"] if devices else []), *asked.setup],
        )
        if asked.cpus and name != MERGE:
            os.environ.setdefault("OMP_NUM_THREADS", str(asked.cpus))
        job = executor.submit(self._job, str(self._submission.directory), name)
        self._running[name], self._places[name] = job, place
        note(self._submission.directory, Given({name: job.job_id}, platform.node()))

    def _wait(self, below: int) -> None:
        """Wait until fewer tasks than this run."""
        while True:
            for name in [name for name, job in self._running.items() if job.done()]:
                del self._running[name], self._places[name]
            if len(self._running) < below:
                return
            time.sleep(_LOOK)


if __name__ == "__main__":
    _names, _others = json.load(sys.stdin)
    try:
        _Launcher(Submission.read(Path(sys.argv[1]))).run(_names, _others)
    except TitrateError as _error:
        sys.exit(f"titrate: {_error}")
