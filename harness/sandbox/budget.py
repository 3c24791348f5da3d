"""What a check may still use: processor time of its two processes, and wall clock behind it.

Processor time is what decides, because a loaded machine does not use it up: the candidate's with
all its threads, and the judge's from when the candidate was let go. The wall clock ends what sleeps
and what a machine never gets to. Only Linux has a clock for another process; elsewhere the wall
clock stands for the processor time.
"""

from __future__ import annotations

import sys
import time

from harness.sandbox.limits import IDLE, Time
from harness.sandbox.verdicts import Outcome, Verdict

#: Seconds between two looks at least.
_SOON = 0.005


class SpentError(TimeoutError):
    """The time is up, as the verdict says."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(str(verdict))
        self.verdict = verdict


class Budget:
    """The time of one check, from now on; `process` is the candidate's."""

    def __init__(self, process: int, most: Time) -> None:
        self._clock = (~process << 3) | 2  # the kernel's number of that process's own clock
        self._most = most
        self._began = time.monotonic()
        self._own = time.process_time()
        self._candidates = 0.0
        self._before = self._look()

    def left(self) -> float:
        """Seconds until the time can be up; raises SpentError when it is."""
        wall = time.monotonic() - self._began
        used = self._used(wall)
        most = self._most
        if used >= most.processor:
            raise SpentError(Verdict(Outcome.TIMED_OUT))
        asleep = used < IDLE * wall
        bound = most.asleep if asleep and most.asleep < most.wall else most.wall
        if wall >= bound:
            raise SpentError(stalled(wall, used))
        # By the time that the clock on the wall has gone on so far, both may have been used up.
        until_next = min(bound, most.asleep if wall < most.asleep else bound) - wall
        return max(_SOON, min(most.processor - used, until_next))

    def _used(self, wall: float) -> float:
        if sys.platform != "linux":
            return wall
        self._candidates = self._look()
        return self._candidates - self._before + time.process_time() - self._own

    def _look(self) -> float:
        """The candidate's clock; it stands still once the process has been waited for."""
        if sys.platform != "linux":
            return 0.0
        try:
            return time.clock_gettime(self._clock)
        except OSError:
            return self._candidates


def stalled(wall: float, used: float) -> Verdict:
    """Ended by the wall clock: what came of it may come of the machine."""
    detail = f"{wall:.0f} s of wall clock with {used:.2f} s of processor time"
    return Verdict(Outcome.TIMED_OUT, detail, stalled=True)
