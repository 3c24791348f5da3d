"""A candidate's function as the tests see it: arguments out, plain data or an exception back.

Nothing that the candidate says is an error here: what cannot be read ends its check with a verdict.
"""

from __future__ import annotations

import os
import signal
import time
from typing import Any, Never

from harness.sandbox import frames
from harness.sandbox.budget import Budget, SpentError
from harness.sandbox.limits import Time
from harness.sandbox.outcomes import Raised, of_exit, of_raised
from harness.sandbox.plain_data import NotPlainError, Own, Reader, Writer
from harness.sandbox.verdicts import Outcome, Verdict

#: Seconds that a process which has hung up may take to end, so that its exit status is seen.
_LAST_BREATH = 5.0
_UNREADABLE = Verdict(Outcome.EXCEPTION, "its answer is no plain data, or too long")


class Over(BaseException):
    """Nothing more can come of this check; no `except Exception` of the tests may hide it."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict)
        self.verdict = verdict


class RemoteFunction:
    """The candidate's function as the tests see it: arguments out, plain data or exception back.

    `known` are the names of the prompt, of which its exceptions can be raised again.
    """

    def __init__(self, channel: int, process: int, time: Time) -> None:
        self.calls = 0
        self.over: Verdict | None = None
        self.raised: tuple[Exception, Raised] | None = None
        self.known: dict[str, Any] = {}
        self._channel = channel
        self._process: int | None = process
        self._time = time
        self._budget: Budget | None = None
        self._ready = False
        self._answered = False
        self._own: dict[int, Own] = {}

    def await_confined(self) -> None:
        """Until the candidate stands in its layers; what it says up to here is our own code's."""
        confined = frames.receive(self._channel)["confined"]
        if confined is not True:
            raise OSError(str(confined))
        os.set_blocking(self._channel, False)
        assert self._process is not None
        self._budget = Budget(self._process, self._time)

    def await_ready(self) -> None:
        """Until the completion is loaded."""
        if self._ready:
            return
        message = self._received()
        self._ready = type(message) is dict and message.get("ready") is True
        if not self._ready:
            self._end_with(of_raised(self._read_raised(message, self._reader(message, []))))

    def look_at_the_clock(self) -> None:
        """Raise Over when the time is up."""
        assert self._budget is not None
        try:
            self._budget.left()
        except SpentError as spent:
            self._end_with(spent.verdict)

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        """Call the candidate's function; what it changes of its arguments is changed here too."""
        self.calls += 1
        if self.over is not None:
            raise Over(self.over)
        self.await_ready()
        known = self._send(arguments, keywords)
        answer = self._received()
        self._answered = True
        reader = self._reader(answer, known)
        if "returned" in answer:
            try:
                return reader.read(answer["returned"])
            except Exception:
                self._end_with(_UNREADABLE)
        raised = self._read_raised(answer, reader)
        revived = raised.revived(self.known)
        if revived is None:
            self._end_with(of_raised(raised))
        self.raised = (revived, raised)
        raise revived

    def end(self) -> None:
        """Kill the candidate; with it go all processes of its namespace."""
        if self._process is not None:
            os.kill(self._process, signal.SIGKILL)
            os.waitpid(self._process, 0)
            self._process = None

    def _send(self, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> list[Any]:
        """Say what is called; the mutable objects of the call, by number."""
        writer = Writer()
        try:
            call = {
                "arguments": [writer.write(argument) for argument in arguments],
                "keywords": {name: writer.write(value) for name, value in keywords.items()},
            }
            left = None if self._budget is None else self._budget.left
            frames.send(self._channel, {**call, "objects": writer.contents()}, left)
        except SpentError as spent:
            self._end_with(spent.verdict)
        except (NotPlainError, ValueError, RecursionError) as error:
            self._end_with(self._of_unsendable(error))
        except OSError:
            self._end_with(self._of_ended_process())
        return writer.objects

    def _of_unsendable(self, error: Exception) -> Verdict:
        """Whatever a candidate answered can be passed back, unless it is large, or was made deep.

        So a type that cannot be sent is the tests' own doing, and so is what they pass at first.
        """
        reason = f"its tests pass no plain data: {error}"
        if (isinstance(error, NotPlainError) and not error.deep) or not self._answered:
            return Verdict(Outcome.UNSUPPORTED, reason)
        return Verdict(Outcome.EXCEPTION, f"its answer cannot be passed back: {error}")

    def _find_own(self, number: int, kind: str) -> Own:
        """The same object for the same number, so that it equals itself."""
        if type(number) is not int or type(kind) is not str:
            raise TypeError("no number and kind of an object")
        return self._own.setdefault(number, Own(number, kind))

    def _received(self) -> Any:
        left = None if self._budget is None else self._budget.left
        try:
            message = frames.receive(self._channel, left)
            if left is not None:
                left()  # in time?
        except SpentError as spent:
            self._end_with(spent.verdict)
        except (EOFError, OSError):
            self._end_with(self._of_ended_process())
        except (ValueError, RecursionError, MemoryError):
            self._end_with(_UNREADABLE)
        return message

    def _reader(self, message: Any, known: list[Any]) -> Reader:
        """What a message's values are read with, once its changes are made."""
        reader = Reader(self._find_own, known)
        try:
            reader.admit(message["objects"])
            reader.refill(message["changed"])
        except Exception:  # such as a list as a key: our own code never says that
            self._end_with(_UNREADABLE)
        return reader

    def _read_raised(self, message: Any, reader: Reader) -> Raised:
        try:
            return Raised.read(message["raised"], reader.read)
        except Exception:
            self._end_with(_UNREADABLE)

    def _of_ended_process(self) -> Verdict:
        """How the candidate ended, if it did; it may also just have closed its channel."""
        assert self._process is not None
        patience = time.monotonic() + min(_LAST_BREATH, self._time.asleep)
        while time.monotonic() < patience:
            process, status, usage = os.wait4(self._process, os.WNOHANG)
            if process:
                self._process = None
                used = usage.ru_utime + usage.ru_stime
                return (
                    Verdict(Outcome.TIMED_OUT) if used >= self._time.processor else of_exit(status)
                )
            time.sleep(0.0005)
        return Verdict(Outcome.EXITED, "it hung up")

    def _end_with(self, verdict: Verdict) -> Never:
        self.over = verdict
        raise Over(verdict)
