"""What submitit is given to run, and keeps as a pickle: names alone, all else is on disk.

A job that the cluster ends before its time ends in order: what is stored stays, and it goes on in
the queue. Imports nothing that a submission does not need.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, Any, Never

from harness.launch.cluster.queue import raw_state

if TYPE_CHECKING:
    from submitit.helpers import DelayedSubmission

_SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)


class Preempted(KeyboardInterrupt):
    """The cluster wants its node back; a run ends for it as for Ctrl-C, with everything kept."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


class Job:
    """A task of a run, or its merge.

    It is submitted again as it is when the cluster takes its node away (`checkpoint`).
    """

    def __call__(self, directory: str, name: str) -> None:
        """Do the task, and have it go on in the queue if the cluster ends this job.

        Raises:
            TitrateError: it could not be done.
        """
        # submitit's, which notes this object anew and puts the job into the queue again.
        requeue: Callable[[int, FrameType | None], Any]
        requeue = signal.getsignal(signal.SIGUSR2)  # type: ignore[assignment]
        for number in _SIGNALS:
            signal.signal(number, _preempted)
        try:
            from harness.launch.cluster.task import do  # imports torch, for seconds

            do(directory, name)
        except Preempted as preempted:
            if preempted.number == signal.SIGTERM and _is_ending():
                sys.exit(128 + signal.SIGTERM)
            requeue(preempted.number, None)

    def checkpoint(self, directory: str, name: str) -> DelayedSubmission:
        """What is to be done when the job is started again: the same."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, directory, name)


def _preempted(number: int, _frame: FrameType | None) -> Never:
    for each in _SIGNALS:  # what follows takes seconds, and should not be cut short
        signal.signal(each, signal.SIG_IGN)
    raise Preempted(number)


def _is_ending() -> bool:
    """Whether SIGTERM came of a cancelled job, or of a limit, after which nothing goes on.

    A job that was sent the signal alone is running still.
    """
    job = os.environ.get("SLURM_JOB_ID")
    return job is None or raw_state(job) != "RUNNING"
