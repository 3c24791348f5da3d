"""Checks many completions at a time in warm interpreters that stay for the next call.

- As many run at a time as there are cores; each interpreter forks once per check.
- A check that the wall clock ended before its processor time was used up is run once more alone,
  and so is one whose interpreter was lost: no verdict depends on what else this process checks.
- The interpreters end with this process, however it ends. A forked copy starts its own.
"""

from __future__ import annotations

import atexit
import os
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from harness.errors import SandboxError
from harness.sandbox.interpreter import Check, LostError, WarmInterpreter
from harness.sandbox.levels import Level, isolating
from harness.sandbox.limits import TIMEOUT, Time
from harness.sandbox.refusal import refusal
from harness.sandbox.turns import Turns
from harness.sandbox.verdicts import Outcome, Verdict

_PROBE = Check("def f():\n", "    return 1\n", "def check(f):\n    assert f() == 1\n", "f")


@dataclass(frozen=True)
class Isolation:
    """A level that was found to work here, and the layers around each check in full."""

    level: Level
    layers: tuple[str, ...]

    def __str__(self) -> str:
        return ", ".join(self.layers)


def choose(*, unsafe_code: bool = False) -> Isolation:
    """The strongest level at which a check was seen to pass here; tried once per process.

    Raises SandboxError where no level isolates, unless `unsafe_code` allows the plain process: code
    that runs with the user's own rights.
    """
    reasons: dict[Level, str] = {}
    for level in (*isolating(), *((Level.PROCESS,) if unsafe_code else ())):
        try:
            return tried(level)
        except SandboxError as error:
            reasons[level] = str(error)
    raise refusal(reasons)


def tried(level: Level) -> Isolation:
    """What a level gives here; raises SandboxError with the reason where it does not work."""
    if level not in _pool.tried:
        interpreter = WarmInterpreter(level)
        try:
            verdict = interpreter.check(_PROBE, Time.of(30.0))
        except SandboxError:
            interpreter.close()
            raise
        if not verdict.passed:
            interpreter.close()
            raise SandboxError(f"a harmless check did not pass: {verdict}")
        _pool.tried[level] = Isolation(level, tuple(interpreter.layers))
        _pool.idle[level].append(interpreter)
    return _pool.tried[level]


def check(
    checks: Sequence[Check],
    isolation: Isolation,
    *,
    timeout: float = TIMEOUT,
    asleep: float | None = None,
    workers: int | None = None,
) -> list[Verdict]:
    """Judge each completion and return the verdicts in order.

    `timeout` is seconds of processor time per check; `asleep` of wall clock for a check that hardly
    uses the processor, by default a multiple of `timeout`. `workers` checks run at a time, by
    default one per available core. Raises SandboxError when a layer that worked before cannot be
    put on any more.
    """
    if not checks:
        return []
    limits = Time.of(timeout, asleep)
    run = partial(_check, level=isolation.level, limits=limits)
    with ThreadPoolExecutor(min(workers or _cores(), len(checks)), "check") as threads:
        verdicts = list(threads.map(run, checks))
        doubtful = [index for index, verdict in enumerate(verdicts) if verdict is None]
        alone = partial(_check_alone, level=isolation.level, limits=limits)
        for index in doubtful:
            verdicts[index] = threads.submit(alone, checks[index]).result()
    return [verdict for verdict in verdicts if verdict is not None]


def _check(check: Check, level: Level, limits: Time) -> Verdict | None:
    """One check beside others; None when it has to be repeated alone."""
    with _pool.turns.shared():
        try:
            verdict = _pool.run(check, level, limits)
        except SandboxError:  # such as a process that the kernel ended for want of memory
            return None
    return None if verdict.stalled else verdict


def _check_alone(check: Check, level: Level, limits: Time) -> Verdict:
    with _pool.turns.alone():
        try:
            verdict = _pool.run(check, level, limits)
        except LostError:
            return Verdict(Outcome.KILLED, "with its interpreter, twice")
    if verdict.stalled:
        verdict = verdict._replace(detail=f"{verdict.detail}, alone")
    return verdict


@dataclass
class _Pool:
    """The idle interpreters of this process by level, and what was found out about levels."""

    idle: dict[Level, list[WarmInterpreter]] = field(default_factory=lambda: defaultdict(list))
    tried: dict[Level, Isolation] = field(default_factory=dict)
    turns: Turns = field(default_factory=Turns)
    owner: int = field(default_factory=os.getpid)

    def run(self, check: Check, level: Level, limits: Time) -> Verdict:
        """One check in an idle interpreter, or in a new one when none is idle."""
        try:
            interpreter = self.idle[level].pop()
        except IndexError:
            interpreter = WarmInterpreter(level)
        try:
            verdict = interpreter.check(check, limits)
        except BaseException:
            interpreter.close()
            raise
        self.idle[level].append(interpreter)
        return verdict

    def close(self) -> None:
        """End the idle interpreters; others end when their check is over, or with this process."""
        for interpreters in self.idle.values():
            while interpreters:
                interpreters.pop().close()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_pool = _Pool()
_of_parents: list[_Pool] = []


def _start_afresh() -> None:
    """A forked copy of this process must neither use nor end its parent's interpreters."""
    global _pool
    for interpreters in _pool.idle.values():
        for interpreter in interpreters:
            interpreter.abandon()
    _of_parents.append(_pool)  # kept, because collecting a Popen of a live process warns
    _pool = _Pool(tried=_pool.tried)


def _close() -> None:
    _pool.close()


atexit.register(_close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_afresh)
