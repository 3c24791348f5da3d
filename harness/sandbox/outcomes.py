"""From what a judge saw of its candidate to an outcome: exceptions that crossed, ways to die."""

from __future__ import annotations

import builtins
import errno
import os
import signal
from typing import Any, NamedTuple

from harness.sandbox.verdicts import Outcome, Verdict

#: How the layers say no: by seccomp and capabilities, by file rights and Landlock, by mounts.
_REFUSALS = frozenset({errno.EPERM, errno.EACCES, errno.EROFS})
#: Raised by a function, these would end a loop of the tests' over its calls instead of failing it.
_ENDS_OF_ITERATION = (StopIteration, StopAsyncIteration)


class Raised(NamedTuple):
    """An exception of the candidate's as plain data; see `candidate.py` for the fields."""

    types: list[str]
    name: str
    message: str
    errno: int | None
    line: str

    @classmethod
    def read(cls, fields: Any) -> Raised:
        """From a candidate's message; raises KeyError, TypeError or ValueError for a wrong one."""
        types = [str(name) for name in fields["types"]]
        number = None if fields["errno"] is None else int(fields["errno"])
        return cls(types, str(fields["name"]), str(fields["message"]), number, str(fields["line"]))

    def revived(self) -> Exception | None:
        """The nearest built-in exception, to be raised again; None for one that means to exit."""
        kinds = [getattr(builtins, name, None) for name in self.types]
        known = [kind for kind in kinds if isinstance(kind, type)]
        for kind in known:
            if issubclass(kind, _ENDS_OF_ITERATION):
                return RuntimeError(f"{self.name}: {self.message}")
            if issubclass(kind, Exception) and not issubclass(kind, BaseExceptionGroup):
                error = kind.__new__(kind)
                error.args = (self.message,)
                return error
        return None


def of_raised(raised: Raised) -> Verdict:
    """The outcome when an exception of the candidate's ended the tests."""
    text = f"{raised.name}: {raised.message}".removesuffix(": ")
    if raised.errno in _REFUSALS:
        return Verdict(Outcome.FORBIDDEN, f"{text}, at `{raised.line}`")
    if raised.errno == errno.ENOMEM or "MemoryError" in raised.types:
        return Verdict(Outcome.OUT_OF_MEMORY, f"at `{raised.line}`")
    if raised.revived() is None:
        return Verdict(Outcome.EXITED, text)
    return Verdict(Outcome.EXCEPTION, text)


def of_exit(status: int) -> Verdict:
    """The outcome when the candidate's process ended, from its wait status."""
    if not os.WIFSIGNALED(status):
        return Verdict(Outcome.EXITED, f"status {os.WEXITSTATUS(status)}")
    number = os.WTERMSIG(status)
    named = number in {each.value for each in signal.Signals}
    name = signal.Signals(number).name if named else f"signal {number}"
    if name == "SIGSYS":
        return Verdict(Outcome.FORBIDDEN, "a system call of another architecture (SIGSYS)")
    return Verdict(Outcome.KILLED, name)
