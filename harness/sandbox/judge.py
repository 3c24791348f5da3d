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
from harness.sandbox.confinement import Confinement
from harness.sandbox.limits import limit_judge
from harness.sandbox.outcomes import Raised, of_exit, of_raised
from harness.sandbox.plain_data import NotPlainError, decode, encode_exactly, write_back
from harness.sandbox.verdicts import Outcome, Verdict

_TESTS = "<tests>"
_LONGEST_DETAIL = 400
#: Seconds that a process which has hung up may take to end, so that its exit status is seen.
_LAST_BREATH = 0.3


def run(connection: int, announce: int, timeout: float, confinement: Confinement) -> Never:
    """Answer one request on the connection: `{"verdict": [...]}`, or `{"error": "..."}`.

    The candidate's process id goes to `announce`, for whoever has to end it if this process hangs.
    """
    reply: dict[str, Any]
    try:
        verdict = _verdict(connection, announce, timeout, confinement)
        reply = {"verdict": [verdict.outcome, verdict.detail[:_LONGEST_DETAIL]]}
    except BaseException as error:
        reply = {"error": f"{type(error).__name__}: {error}"[:_LONGEST_DETAIL]}
    try:
        frames.send(connection, reply)
    finally:
        os._exit(0)


def _verdict(connection: int, announce: int, timeout: float, confinement: Confinement) -> Verdict:
    request = frames.receive(connection)
    confinement.prepare_check()
    ours, theirs = (end.detach() for end in socket.socketpair())
    process = os.fork()
    if process == 0:
        _become_candidate(theirs, timeout, confinement, request)
    os.close(theirs)
    os.write(announce, struct.pack("=i", process))
    limit_judge(timeout)
    function = RemoteFunction(ours, process, timeout)
    try:
        function.await_confined()
        tests = frames.receive(connection)["tests"]
        return _judged(function, request, tests)
    finally:
        function.end()


def _become_candidate(
    channel: int, timeout: float, confinement: Confinement, request: dict[str, str]
) -> Never:
    """Confine this process and say so, or say why not; only then load the completion."""
    try:
        os.dup2(channel, candidate.CHANNEL)
        try:
            confinement.confine(timeout)
        except BaseException as error:
            frames.send(candidate.CHANNEL, {"confined": f"{type(error).__name__}: {error}"})
            raise
        frames.send(candidate.CHANNEL, {"confined": True})
        candidate.run(request["prompt"] + request["completion"] + "\n", request["entry_point"])
    finally:
        os._exit(1)


def _judged(function: RemoteFunction, request: dict[str, str], tests: str) -> Verdict:
    """The verdict on a candidate that was just started."""
    scope: dict[str, Any] = {"__name__": "tests"}
    try:
        prompt = request["prompt"] + "\n    pass\n"  # its helpers; the function itself stays empty
        try:
            exec(compile(prompt, "<prompt>", "exec"), scope)  # noqa: S102
            scope[request["entry_point"]] = function
            exec(compile(tests, _TESTS, "exec"), scope)  # noqa: S102
            check = scope["check"]
        except Exception as error:
            return Verdict(Outcome.UNSUPPORTED, f"its prompt or tests do not run: {error!r}")
        function.await_ready()
        check(function)
    except Over as over:
        return over.verdict
    except BaseException as error:
        return function.over or _of_failed_tests(error, function, tests)
    if function.over is not None:  # and the tests swallowed it
        return function.over
    if not function.calls:
        return Verdict(Outcome.UNSUPPORTED, "its tests never call the function")
    return Verdict(Outcome.PASSED)


def _of_failed_tests(error: BaseException, function: RemoteFunction, tests: str) -> Verdict:
    if function.raised is not None and error is function.raised[0]:
        return of_raised(function.raised[1])
    text = f"{type(error).__name__}: {error}".removesuffix(": ")
    if not isinstance(error, AssertionError):
        return Verdict(Outcome.EXCEPTION, text)
    numbers = [
        number
        for frame, number in traceback.walk_tb(error.__traceback__)
        if frame.f_code.co_filename == _TESTS
    ]
    line = tests.split("\n")[numbers[-1] - 1].strip() if numbers else text
    return Verdict(Outcome.ASSERTION_FAILED, line)


class Over(BaseException):
    """Nothing more can come of this check; no `except Exception` of the tests may hide it."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict)
        self.verdict = verdict


class RemoteFunction:
    """The candidate's function as the tests see it: arguments out, plain data or exception back."""

    def __init__(self, channel: int, process: int, timeout: float) -> None:
        self.calls = 0
        self.over: Verdict | None = None
        self.raised: tuple[Exception, Raised] | None = None
        self._channel = channel
        self._process: int | None = process
        self._timeout = timeout
        self._deadline: float | None = None

    def await_confined(self) -> None:
        """Until the candidate stands in its layers; what it says up to here is our own code's."""
        confined = frames.receive(self._channel)["confined"]
        if confined is not True:
            raise OSError(str(confined))
        self._deadline = time.monotonic() + self._timeout

    def await_ready(self) -> None:
        """Until the completion is loaded."""
        message = self._received()
        if not (isinstance(message, dict) and message.get("ready") is True):
            self._end_with(of_raised(self._read_raised(message)))

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        """Call the candidate's function; arguments that it changed are changed here too."""
        self.calls += 1
        if self.over is not None:
            raise Over(self.over)
        try:
            call = {
                "arguments": [encode_exactly(argument) for argument in arguments],
                "keywords": {name: encode_exactly(value) for name, value in keywords.items()},
            }
            frames.send(self._channel, call)
        except (NotPlainError, ValueError) as error:
            self._end_with(Verdict(Outcome.UNSUPPORTED, f"its tests pass no plain data: {error}"))
        except OSError:
            self._end_with(self._of_ended_process())
        answer = self._received()
        try:
            if answer["changed"] is not None:
                write_back(arguments, [decode(argument) for argument in answer["changed"]])
            if "returned" in answer:
                return decode(answer["returned"])
        except (ValueError, TypeError, KeyError, IndexError, ArithmeticError, RecursionError):
            self._end_with(_UNREADABLE)
        raised = self._read_raised(answer)
        revived = raised.revived()
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

    def _received(self) -> Any:
        try:
            return frames.receive(self._channel, self._deadline)
        except TimeoutError:
            self._end_with(Verdict(Outcome.TIMED_OUT))
        except (EOFError, OSError):
            self._end_with(self._of_ended_process())
        except (ValueError, RecursionError, MemoryError):
            self._end_with(_UNREADABLE)

    def _read_raised(self, message: Any) -> Raised:
        try:
            return Raised.read(message["raised"])
        except (KeyError, TypeError, ValueError):
            self._end_with(_UNREADABLE)

    def _of_ended_process(self) -> Verdict:
        """How the candidate ended, if it did; it may also just have closed its channel."""
        assert self._process is not None
        patience = time.monotonic() + _LAST_BREATH
        while time.monotonic() < patience:
            process, status = os.waitpid(self._process, os.WNOHANG)
            if process:
                self._process = None
                return of_exit(status)
            time.sleep(0.0005)
        return Verdict(Outcome.EXITED, "it hung up")

    def _end_with(self, verdict: Verdict) -> Never:
        self.over = verdict
        raise Over(verdict)


_UNREADABLE = Verdict(Outcome.EXCEPTION, "its answer is no plain data, or too long")
