"""A program, not a library: a small interpreter that forks once per check and reports a verdict.

It is started by file name, with an empty directory as its only argument and an environment of its
own. It imports little of the standard library and nothing else: a fork costs what it copies.
Requests and replies are JSON with a four-byte length in front, on standard input and output; the
end of input ends it. The first reply comes unasked and says that it has started.

    request  {"program": "...", "timeout": 3.0}
    reply    {"passed": false, "detail": "AssertionError: "}
"""

from __future__ import annotations

import collections  # noqa: F401  # what programs usually import is imported once, before the forks
import functools  # noqa: F401
import gc
import itertools  # noqa: F401
import json
import math
import os
import re  # noqa: F401
import resource
import select
import signal
import string  # noqa: F401
import struct
import sys
import time
import typing

_MEMORY = 1 << 30
_FILE_SIZE = 1 << 24
_LONGEST_REPORT = 400  # characters; with its token it fits one atomic write to a pipe


def serve(root: str) -> None:
    """Answer requests until the input ends."""
    gc.collect()
    gc.freeze()  # a collection in a child would otherwise copy every page of the parent
    _send({"passed": True, "detail": "started"})
    while (request := _receive()) is not None:
        passed, detail = run(request["program"], request["timeout"], root)
        _send({"passed": passed, "detail": detail})


def run(program: str, timeout: float, root: str) -> tuple[bool, str]:
    """Run one program in a child with a private directory below `root`; whether it passed, why."""
    token = os.urandom(16).hex()
    directory = os.path.join(root, token)  # noqa: PTH118  # pathlib is not worth its import here
    os.mkdir(directory)  # noqa: PTH102
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        _child(program, timeout, directory, token, writer)
    os.close(writer)
    try:
        deadline = time.monotonic() + timeout
        ready, _, _ = select.select([reader], [], [], max(0.0, deadline - time.monotonic()))
        report = os.read(reader, select.PIPE_BUF).decode(errors="replace") if ready else None
        if report == "":
            _wait_until_gone(child, deadline)
        status = _end(child)
    finally:
        os.close(reader)
        _remove(directory)
    if report is None:
        return False, "timed out"
    if report == token:
        return True, "passed"
    if report:
        return False, report
    if os.WIFSIGNALED(status):
        return False, f"killed by signal {os.WTERMSIG(status)}"
    return False, "exited without finishing"


def _child(program: str, timeout: float, directory: str, token: str, writer: int) -> None:
    """Become a process with nothing but limits and one pipe, run the program, report, and exit."""
    try:
        os.setsid()
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        os.dup2(writer, 3)
        os.closerange(4, max(writer, null) + 1)
        os.chdir(directory)
        _limit(timeout)
        os.write(3, _report(program, token).encode(errors="replace"))
    finally:
        os._exit(1)


def _report(program: str, token: str) -> str:
    """The token when the program ran to its end; otherwise what stopped it."""
    try:
        exec(compile(program, "<program>", "exec"), {"__name__": "program"})  # noqa: S102
    except (SystemExit, KeyboardInterrupt, GeneratorExit):
        return "exited without finishing"
    except BaseException as error:  # whatever a model's code raises is a verdict
        try:
            return f"{type(error).__name__}: {error}"[:_LONGEST_REPORT]
        except BaseException:  # even its own message
            return type(error).__name__[:_LONGEST_REPORT]
    return token


def _limit(timeout: float) -> None:
    seconds = math.ceil(timeout) + 1
    for kind, most in (
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_AS, _MEMORY),
        (resource.RLIMIT_FSIZE, _FILE_SIZE),
        (resource.RLIMIT_NPROC, 0),  # no further processes; the kernel exempts root from this
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(kind)
        limit = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (limit, limit))


def _wait_until_gone(child: int, deadline: float) -> None:
    """Let a child whose pipe is closed end by itself, so that its own exit status is seen."""
    while time.monotonic() < deadline:
        if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
            return
        time.sleep(0.0005)


def _end(child: int) -> int:
    """Kill the child with its whole session and return its exit status."""
    for kill in (os.killpg, os.kill):  # the group is missing if the child died before `setsid`
        try:
            kill(child, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            continue
    return os.waitpid(child, 0)[1]


def _remove(directory: str) -> None:
    try:
        os.rmdir(directory)  # noqa: PTH106
    except OSError:
        import shutil  # few programs leave files, and every fork would copy it

        shutil.rmtree(directory, ignore_errors=True)


def _receive() -> dict[str, typing.Any] | None:
    header = _read(4)
    if header is None:
        return None
    body = _read(struct.unpack(">I", header)[0])
    return None if body is None else json.loads(body)


def _read(size: int) -> bytes | None:
    """Exactly `size` bytes, or None where the input ends."""
    parts = bytearray()
    while len(parts) < size:
        part = os.read(0, size - len(parts))
        if not part:
            return None
        parts += part
    return bytes(parts)


def _send(reply: dict[str, object]) -> None:
    body = json.dumps(reply).encode()
    message = struct.pack(">I", len(body)) + body
    while message:
        message = message[os.write(1, message) :]


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    serve(sys.argv[1])
