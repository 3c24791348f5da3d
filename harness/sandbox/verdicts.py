"""What came of one check. `Outcome` and its detail are all that a judge says to the harness."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Outcome(StrEnum):
    """What ended a check."""

    PASSED = "passed"
    ASSERTION_FAILED = "assertion failed"
    EXCEPTION = "exception"
    EXITED = "exited"  # ended its process before it had answered every call
    TIMED_OUT = "timed out"
    OUT_OF_MEMORY = "out of memory"
    KILLED = "killed"
    FORBIDDEN = "forbidden"  # the sandbox refused an operation and the program did not catch that
    UNSUPPORTED = "unsupported"  # no verdict: these tests cannot be judged across processes


class Verdict(NamedTuple):
    """An outcome with what is known of it, such as `ValueError: no` for an exception.

    `stalled`: it timed out by the wall clock before its processor time was used up, so that on
    another day the verdict may be another one; such a verdict is not to be kept.
    """

    outcome: Outcome
    detail: str = ""
    stalled: bool = False

    @property
    def passed(self) -> bool:
        """Whether the tests came to their end."""
        return self.outcome is Outcome.PASSED

    def __str__(self) -> str:
        return f"{self.outcome}: {self.detail}" if self.detail else str(self.outcome)
