"""What one check may use up: memory, processor time, files, threads; and the scorer's version."""

from __future__ import annotations

import math
import resource
from collections.abc import Mapping

#: Changes whenever a completion could get another verdict than before.
SCORER_VERSION = 2
#: Seconds that one completion may take from its first statement to the end of its tests, as in
#: HumanEval's own evaluation (Chen et al. 2021).
TIMEOUT = 3.0
MEMORY = 1 << 30  # bytes of address space of the candidate
JUDGE_MEMORY = 2 << 30  # the judge also holds what it decodes from a reply
FILES = 16 << 20  # bytes of the private file system, and of one file where there is none
FILE_COUNT = 1024
_THREADS = 16  # processes and threads of the sandbox's user together; the kernel exempts root
_DESCRIPTORS = 64

#: All that a verdict depends on beside its check, the scorer's version and the isolation.
LIMITS: Mapping[str, float] = {
    "timeout": TIMEOUT,
    "memory": MEMORY,
    "judge_memory": JUDGE_MEMORY,
    "files": FILES,
    "file_count": FILE_COUNT,
    "threads": _THREADS,
    "descriptors": _DESCRIPTORS,
}


def limit_candidate(timeout: float) -> None:
    """Lower this process's limits for good; the processor time leaves the wall clock to decide."""
    _lower("RLIMIT_AS", MEMORY)
    _lower("RLIMIT_CPU", math.ceil(timeout) + 1)
    _lower("RLIMIT_FSIZE", FILES)
    _lower("RLIMIT_NOFILE", _DESCRIPTORS)
    _lower("RLIMIT_NPROC", _THREADS)
    for name in ("RLIMIT_CORE", "RLIMIT_MEMLOCK", "RLIMIT_MSGQUEUE"):
        _lower(name, 0)


def limit_judge(timeout: float) -> None:
    """The judge runs trusted tests, but on data from the candidate."""
    _lower("RLIMIT_AS", JUDGE_MEMORY)
    _lower("RLIMIT_CPU", math.ceil(timeout) + 2)
    _lower("RLIMIT_CORE", 0)


def _lower(name: str, most: int) -> None:
    kind = getattr(resource, name, None)  # macOS lacks some of them
    if kind is None:
        return
    _, hard = resource.getrlimit(kind)
    limit = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(kind, (limit, limit))
