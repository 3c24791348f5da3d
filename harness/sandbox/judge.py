"""The process that decides: it runs a record's tests against a candidate in another process.

It executes the prompt and the tests, which are the data set's, and not a byte of the completion.
The tests reach it after the candidate was forked, so that they never were in that process's memory.
A check passes when the tests came to their end here, after at least one call.
"""

from __future__ import annotations

import os
import signal
import socket
import struct
import time
import traceback
from typing import Any, Never

from harness.sandbox import candidate, frames
from harness.sandbox.budget import Budget, SpentError
from harness.sandbox.confinement import Confinement
from harness.sandbox.limits import Time, limit_judge
from harness.sandbox.outcomes import Raised, of_exit, of_raised
from harness.sandbox.plain_data import NotPlainError, Own, Reader, Writer, shown
from harness.sandbox.verdicts import Outcome, Verdict

_TESTS = "<tests>"
_LONGEST_DETAIL = 400
#: Seconds that a process which has hung up may take to end, so that its exit status is seen.
_LAST_BREATH = 5.0


def run(connection: int, announce: int, time: Time, confinement: Confinement) -> Never:
    """Answer one request on the connection: `{"verdict": [...]}`, or `{"error": "..."}`.

    The candidate's process id goes to `announce`, for whoever has to end it if this process hangs.
    """
    function = None
    reply: dict[str, Any]
    try:
        request = frames.receive(connection)
        function = _started(request, announce, time, confinement)
        tests = frames.receive(connection)["tests"]
        reply = _reply(_judged(function, request, tests))
    except BaseException as error:  # before a foreign byte ran
        reply = {"error": _described(error)[:_LONGEST_DETAIL]}
    try:
        if function is not None:
            function.end()
        frames.send(connection, reply)
    finally:
        os._exit(0)


def _started(
    request: dict[str, str], announce: int, time: Time, confinement: Confinement
) -> RemoteFunction:
    """A candidate that stands in its layers."""
    confinement.prepare_check()
    ours, theirs = (end.detach() for end in socket.socketpair())
    process = os.fork()
    if process == 0:
        _become_candidate(theirs, time, confinement, request)
    os.close(theirs)
    os.write(announce, struct.pack("=i", process))
    limit_judge(time)
    function = RemoteFunction(ours, process, time)
    function.await_confined()
    return function


def _become_candidate(
    channel: int, time: Time, confinement: Confinement, request: dict[str, str]
) -> Never:
    """Confine this process and say so, or say why not; only then load the completion."""
    try:
        os.dup2(channel, candidate.CHANNEL)
        try:
            confinement.confine(time)
        except BaseException as error:
            frames.send(candidate.CHANNEL, {"confined": f"{type(error).__name__}: {error}"})
            raise
        frames.send(candidate.CHANNEL, {"confined": True})
        candidate.run(request["prompt"], request["completion"], request["entry_point"])
    finally:
        os._exit(1)


def _reply(verdict: Verdict) -> dict[str, Any]:
    """A verdict that can be written to any file."""
    detail = verdict.detail[:_LONGEST_DETAIL].encode("utf-8", "backslashreplace").decode()
    return {"verdict": [verdict.outcome, detail, verdict.stalled]}


def _judged(function: RemoteFunction, request: dict[str, str], tests: str) -> Verdict:
    """The verdict on a candidate that was just started, whatever the candidate does."""
    try:
        verdict = _tested(function, request, tests)
        if verdict.passed:
            function.look_at_the_clock()
    except Over as over:
        return over.verdict
    except BaseException as error:
        return Verdict(Outcome.KILLED, f"the judge: {_described(error)}")
    return verdict


def _tested(function: RemoteFunction, request: dict[str, str], tests: str) -> Verdict:
    scope = candidate.module()
    prompt = request["prompt"] + "\n    pass\n"  # its helpers; the function itself stays empty
    try:
        try:
            exec(compile(prompt, "<prompt>", "exec", dont_inherit=True), scope)  # noqa: S102
            function.known = dict(scope)
            scope[request["entry_point"]] = function
            exec(compile(tests, _TESTS, "exec", dont_inherit=True), scope)  # noqa: S102
            check = scope["check"]
        except Exception as error:
            if function.calls:  # by the tests before they define `check`
                raise
            reason = f"its prompt or tests do not run: {shown(error)}"
            return Verdict(Outcome.UNSUPPORTED, reason)
        function.await_ready()
        check(function)
    except BaseException as error:
        if function.over is not None:
            return function.over
        return _of_failed_tests(error, function, tests)
    if function.over is not None:  # and the tests swallowed it
        return function.over
    if not function.calls:
        return Verdict(Outcome.UNSUPPORTED, "its tests never call the function")
    return Verdict(Outcome.PASSED)


def _of_failed_tests(error: BaseException, function: RemoteFunction, tests: str) -> Verdict:
    if function.raised is not None and error is function.raised[0]:
        return of_raised(function.raised[1])
    text = _described(error)
    if not isinstance(error, AssertionError):
        return Verdict(Outcome.EXCEPTION, text)
    lines = tests.split("\n")
    numbers = [
        number
        for frame, number in traceback.walk_tb(error.__traceback__)
        if frame.f_code.co_filename == _TESTS and number <= len(lines)
    ]
    line = lines[numbers[-1] - 1].strip() if numbers else text
    return Verdict(Outcome.ASSERTION_FAILED, line)


def _described(error: BaseException) -> str:
    """An exception in words, also where what it holds has none: a candidate's value may be in it,
    such as an integer of more digits than are written out, or a list in itself a thousand deep.
    """
    try:
        text = str(error)
    except Exception:
        text = ""
    return f"{type(error).__name__}: {text}".removesuffix(": ")


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


_UNREADABLE = Verdict(Outcome.EXCEPTION, "its answer is no plain data, or too long")
