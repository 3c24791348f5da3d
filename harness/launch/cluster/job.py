"""What submitit is given to run, and keeps as a pickle: names alone, all else is on disk.

Imports nothing that a submission does not need.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from submitit.helpers import DelayedSubmission


class Job:
    """A task of a run, or its merge.

    It is submitted again as it is when the cluster takes its node away (`checkpoint`).
    """

    def __call__(self, directory: str, name: str) -> None:
        """Do the task, and have it go on in another job if the cluster ends this one.

        Raises:
            TitrateError: it could not be done.
        """
        # submitit's, which notes this object anew and puts the job into the queue again.
        requeue: Callable[[int, FrameType | None], Any]
        requeue = signal.getsignal(signal.SIGUSR2)  # type: ignore[assignment]
        from harness.launch.cluster.task import do

        number = do(directory, name)
        if number is not None:
            requeue(number, None)

    def checkpoint(self, directory: str, name: str) -> DelayedSubmission:
        """What is to be done when the job is started again: the same."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, directory, name)
