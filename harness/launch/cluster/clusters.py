"""What a cluster does for a run, and the clusters that there are."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from harness.errors import OptionError
from harness.launch.cluster.queue import JobState
from harness.launch.cluster.submission import Submission
from harness.spec.suggestion import suggestion

_CLUSTERS = {
    "slurm": "harness.launch.cluster.slurm",
    "local": "harness.launch.cluster.local_jobs",
}
NAMES = tuple(_CLUSTERS)


class Cluster(Protocol):
    """Starts tasks as jobs, tells of them, and ends them. A module is one."""

    def check_usable(self) -> None:
        """Raise `OptionError` where nothing can be submitted from this process."""

    def scripts(self, submission: Submission) -> Sequence[str]:
        """What would be submitted, as text."""

    def submit(
        self,
        submission: Submission,
        names: Collection[str],
        memory: Mapping[str, str],
        running: Collection[str],
    ) -> None:
        """Give tasks of a run to the cluster, and their merge, and note their jobs.

        Args:
            submission: The run.
            names: Its tasks; the merge comes after them, always.
            memory: How much memory tasks get, where that is not what the submission says.
            running: Jobs of other tasks, which the merge waits for as well.

        Raises:
            TitrateError: the cluster refuses, in its own words; nothing is submitted then.
        """

    def states(self, submission: Submission, jobs: Iterable[str], host: str) -> dict[str, JobState]:
        """The states of jobs that were given from a host; those that nothing is known of are not
        there.

        Raises:
            StoreError: nothing can be known of them here.
        """

    def memory_of(self, job: str) -> str | None:
        """How much memory a job was given; None where that is not known."""

    def cancel(self, submission: Submission, jobs: Collection[str]) -> None:
        """Let jobs end.

        Raises:
            TitrateError: they are another user's, or nothing can be done about them here.
        """


def cluster_named(name: str) -> Cluster:
    """The cluster of a name; raises `OptionError` where there is none."""
    if name not in _CLUSTERS:
        raise OptionError(
            "cluster", f"{name}: no such cluster;{suggestion(name, NAMES)} use slurm or local"
        )
    return cast("Cluster", import_module(_CLUSTERS[name]))


def jobs_below(directory: Path) -> Path:
    """Where submitit keeps scripts, arguments and logs of a run's jobs."""
    return directory / "jobs"


def logs(directory: Path, job: str) -> list[Path]:
    """The logs of a job, as submitit names them: its errors, then its output."""
    return [jobs_below(directory) / f"{job}_0_log.{end}" for end in ("err", "out")]
