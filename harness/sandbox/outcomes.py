"""From what a judge saw of its candidate to an outcome: exceptions that crossed, ways to die."""

from __future__ import annotations

import builtins
import errno
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from harness.sandbox.candidate import LONGEST_MESSAGE, MODULE
from harness.sandbox.verdicts import Outcome, Verdict

#: How the layers say no: by seccomp and capabilities, by file rights and Landlock, by mounts.
_REFUSALS = frozenset({errno.EPERM, errno.EACCES, errno.EROFS})
#: Raised by a function, these would end a loop of the tests' over its calls instead of failing it.
_ENDS_OF_ITERATION = (StopIteration, StopAsyncIteration)
#: Raised by a function under unittest's tests, it would skip them, and a skip is not a failure.
_SKIPS = ("unittest.case", "SkipTest")
#: How a process ends that has used up its processor time.
_OUT_OF_TIME = ("SIGPROF", "SIGXCPU")


class Raised(NamedTuple):
    """An exception of the candidate's as plain data; see `candidate.py` for the fields."""

    types: tuple[tuple[str, str], ...]
    message: str
    args: tuple[Any, ...]
    state: Mapping[str, Any]
    errno: int | None
    line: str

    @classmethod
    def read(cls, fields: Any, read: Callable[[Any], Any]) -> Raised:
        """From a candidate's message, values by `read`; raises some Exception for a wrong one."""
        types = tuple((_text(module), _text(name)) for module, name in fields["types"])
        number = fields["errno"]
        if not types or not (number is None or type(number) is int):
            raise ValueError("an exception without a type, or with no number as its errno")
        return cls(
            types,
            _text(fields["message"]),
            tuple(map(read, fields["args"])),
            {_text(name): read(value) for name, value in fields["state"].items()},
            number,
            _text(fields["line"]),
        )

    @property
    def name(self) -> str:
        """The name of its class, without those it was defined in."""
        return self.types[0][1].rpartition(".")[2]

    def is_a(self, kind: type) -> bool:
        """Whether a built-in class is among its types."""
        return ("builtins", kind.__name__) in self.types

    def revived(self, known: Mapping[str, Any]) -> Exception | None:
        """The exception, to be raised again; None for one that means to exit.

        Its class is the nearest that exists here: built in, of the standard library as far as it is
        imported, or by name among the prompt's own in `known`. A class of the completion's becomes
        one that has its name and its text.
        """
        for place, kind in self._classes(known):
            if issubclass(kind, _ENDS_OF_ITERATION) or self.types[place] == _SKIPS:
                return RuntimeError(f"{self.name}: {self.message}")
            if issubclass(kind, Exception) and not issubclass(kind, BaseExceptionGroup):
                error = None if place else self._as(kind)
                return error if _says(error, self.message) else self._named(kind)
        return None

    def _classes(self, known: Mapping[str, Any]) -> Iterator[tuple[int, type]]:
        """Those of its types that exist here, with their places."""
        for place, (module, name) in enumerate(self.types):
            names: Mapping[str, Any] = {}
            if module == MODULE:
                names = known
            elif module == "builtins":
                names = vars(builtins)
            elif module.partition(".")[0] in sys.stdlib_module_names and module in sys.modules:
                names = vars(sys.modules[module])
            kind = names.get(name)
            if isinstance(kind, type):
                yield place, kind

    def _as(self, kind: type[Exception]) -> Exception | None:
        """By the constructor of a built-in class; others are made without calling theirs."""
        try:
            if kind.__module__ == "builtins":
                error = kind(*self.args)
            else:
                error = kind.__new__(kind, *self.args)
            vars(error).update(self.state)
        except Exception:
            return None
        return error if type(error) is kind else None

    def _named(self, base: type[Exception]) -> Exception:
        """A class of its name and text; where that cannot be, the text alone."""
        try:
            own = {"__module__": MODULE, "__str__": lambda _: self.message}
            kind = type(self.name, (base,), own)
            return self._as(kind) or self._bare(kind)
        except Exception:  # such as a name with half a surrogate pair
            return self._bare(base)

    def _bare(self, kind: type[Exception]) -> Exception:
        error = kind.__new__(kind)
        error.args = (self.message,)
        return error


def of_raised(raised: Raised) -> Verdict:
    """The outcome when an exception of the candidate's ended the tests."""
    text = f"{raised.name}: {raised.message}".removesuffix(": ")
    place = f"at `{raised.line}`" if raised.line else "in sending its answer"
    if raised.errno in _REFUSALS:
        return Verdict(Outcome.FORBIDDEN, f"{text}, {place}")
    if raised.errno == errno.ENOMEM or raised.is_a(MemoryError):
        return Verdict(Outcome.OUT_OF_MEMORY, place)
    if not raised.is_a(Exception):
        return Verdict(Outcome.EXITED, text)
    return Verdict(Outcome.EXCEPTION, text)


def of_exit(status: int) -> Verdict:
    """The outcome when the candidate's process ended, from its wait status."""
    if not os.WIFSIGNALED(status):
        return Verdict(Outcome.EXITED, f"status {os.WEXITSTATUS(status)}")
    name = _signal(status)
    if name in _OUT_OF_TIME:
        return Verdict(Outcome.TIMED_OUT)
    if name == "SIGSYS":
        return Verdict(Outcome.FORBIDDEN, "a system call of another architecture (SIGSYS)")
    return Verdict(Outcome.KILLED, name)


def of_judges_exit(status: int) -> Verdict:
    """The outcome when the judge ended without a verdict, from its wait status."""
    if os.WIFSIGNALED(status) and _signal(status) in _OUT_OF_TIME:
        return Verdict(Outcome.TIMED_OUT, "in the tests")
    return Verdict(Outcome.KILLED, f"the judge, with wait status {status}")


def _signal(status: int) -> str:
    number = os.WTERMSIG(status)
    named = number in {each.value for each in signal.Signals}
    return signal.Signals(number).name if named else f"signal {number}"


def _says(error: Exception | None, message: str) -> bool:
    """Whether an exception is there and this is its text, as far as a text is sent."""
    try:
        return error is not None and str(error)[:LONGEST_MESSAGE] == message
    except Exception:  # a class of the prompt's, made of what it does not expect
        return False


def _text(value: Any) -> str:
    if type(value) is not str:
        raise TypeError(f"{type(value).__name__} in the place of a text")
    return value
