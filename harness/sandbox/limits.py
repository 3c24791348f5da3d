"""What one check may use up: memory, processor time, files, threads; and the scorer's version."""

from __future__ import annotations

import math
import resource
import signal
from collections.abc import Mapping
from typing import NamedTuple

#: Changes whenever a completion could get another verdict than before.
SCORER_VERSION = 3
#: Seconds of processor time from a completion's first statement to the end of its tests. They are
#: of wall clock in HumanEval's own evaluation (Chen et al. 2021), and depend on what else runs.
TIMEOUT = 3.0
#: Times the limit in wall clock, whatever happens: a program that gets a twentieth of a core ends.
_WALL = 20.0
#: Times the limit in wall clock for a check that hardly runs (see `IDLE`): one that sleeps.
_ASLEEP = 3.0
#: A check that used less than this part of the wall clock is asleep; on a machine with twenty busy
#: processes to each core a program that computes still gets more.
IDLE = 1 / 50
MEMORY = 1 << 30  # bytes of address space of the candidate
JUDGE_MEMORY = 2 << 30  # the judge also holds what it decodes from a reply
FILES = 16 << 20  # bytes of the private file system, and of one file where there is none
FILE_COUNT = 1024
_THREADS = 16  # processes and threads of the sandbox's user together; the kernel exempts root
_DESCRIPTORS = 64

#: All that a verdict depends on beside its check, the scorer's version and the isolation.
LIMITS: Mapping[str, float] = {
    "timeout": TIMEOUT,
    "wall": _WALL * TIMEOUT,
    "asleep": _ASLEEP * TIMEOUT,
    "idle": IDLE,
    "memory": MEMORY,
    "judge_memory": JUDGE_MEMORY,
    "files": FILES,
    "file_count": FILE_COUNT,
    "threads": _THREADS,
    "descriptors": _DESCRIPTORS,
}


class Time(NamedTuple):
    """How long one check may take, in seconds: of processor time, and of wall clock behind it.

    `asleep` is the wall clock for a check that hardly uses the processor.
    """

    processor: float
    wall: float
    asleep: float

    @classmethod
    def of(cls, timeout: float, asleep: float | None = None) -> Time:
        """By the processor time alone, or with a wall clock of one's own for what sleeps."""
        return cls(timeout, _WALL * timeout, _ASLEEP * timeout if asleep is None else asleep)


def limit_candidate(time: Time) -> None:
    """Lower this process's limits for good; the judge's own look at its clock comes first."""
    _lower("RLIMIT_AS", MEMORY)
    _lower_processor_time(time)
    _lower("RLIMIT_FSIZE", FILES)
    _lower("RLIMIT_NOFILE", _DESCRIPTORS)
    _lower("RLIMIT_NPROC", _THREADS)
    for name in ("RLIMIT_CORE", "RLIMIT_MEMLOCK", "RLIMIT_MSGQUEUE"):
        _lower(name, 0)


def limit_judge(time: Time) -> None:
    """The judge runs trusted tests, but on data from the candidate. SIGPROF ends endless ones."""
    _lower("RLIMIT_AS", JUDGE_MEMORY)
    _lower_processor_time(time)
    _lower("RLIMIT_CORE", 0)
    signal.setitimer(signal.ITIMER_PROF, time.processor)


def _lower_processor_time(time: Time) -> None:
    """SIGXCPU a second late, and SIGKILL after another one."""
    seconds = math.ceil(time.processor) + 1
    _lower("RLIMIT_CPU", seconds, seconds + 1)


def _lower(name: str, most: int, hardest: int | None = None) -> None:
    kind = getattr(resource, name, None)  # macOS lacks some of them
    if kind is None:
        return
    _, hard = resource.getrlimit(kind)
    limits = [
        each if hard == resource.RLIM_INFINITY else min(each, hard)
        for each in (most, most if hardest is None else hardest)
    ]
    resource.setrlimit(kind, (limits[0], limits[1]))
