"""The process that decides: it runs a record's tests against a candidate in another process.

It executes the prompt and the tests, which are the data set's, and not a byte of the completion.
The tests reach it after the candidate was forked, so that they never were in that process's memory.
A check passes when the tests came to their end here, after at least one call.
"""

from __future__ import annotations

import os
import socket
import struct
import traceback
from typing import Any, Never

from harness.sandbox import candidate, frames
from harness.sandbox.confinement import Confinement
from harness.sandbox.limits import Time, limit_judge
from harness.sandbox.outcomes import of_raised
from harness.sandbox.plain_data import shown
from harness.sandbox.remote import Over, RemoteFunction
from harness.sandbox.verdicts import Outcome, Verdict

_TESTS = "<tests>"
_LONGEST_DETAIL = 400


def run(connection: int, announce: int, time: Time, confinement: Confinement) -> Never:
    """Answer one request on the connection: `{"verdict": [...]}`, or `{"error": "..."}`.

    The candidate's process id goes to `announce`, so that it can be ended if this process hangs.
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
