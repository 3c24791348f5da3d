"""Checks programs in separate processes: limits on time and resources, and an honest verdict.

This is a separate process and NOT a sandbox. A program cannot break the harness by accident: it
cannot crash or block it, print into its output, exhaust memory, or pass by exiting early. It runs
as the same user with the same files and network, and a program that means harm can do harm. Run
models whose code you would run yourself, or run the harness in a container.

- A warm, torch-free interpreter (`warm_interpreter.py`) forks once per check. The child gets a
  session, resource limits and an empty directory of its own, and no standard streams.
- A program passes only if it runs to its end and the child then names a token, random per check,
  on a pipe of its own. Exiting by any means before that is a failure.
- At the time limit the child's whole session is killed.
"""

from __future__ import annotations

import atexit
import json
import os
import queue
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from select import select
from time import monotonic

from harness.errors import SandboxError

_PROGRAM = Path(__file__).with_name("warm_interpreter.py")
#: Seconds that an interpreter may take beyond a check's own limit before it counts as lost.
_GRACE = 5.0
#: Seconds that an interpreter may take to start; usual is a tenth of one.
_START = 30.0
#: Nothing of the caller's environment; and hashing without a seed, so that verdicts repeat.
_ENVIRONMENT = {"PATH": os.defpath, "LANG": "C.UTF-8", "PYTHONHASHSEED": "0"}


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a program ran to its end, and what ended it: `passed`, `AssertionError: ...`,
    `timed out`, `killed by signal 9` or `exited without finishing`.
    """

    passed: bool
    detail: str


def check(
    programs: Sequence[str], *, timeout: float = 3.0, workers: int | None = None
) -> list[Verdict]:
    """Run each program and return the verdicts in order; `timeout` is in seconds per program.

    `workers` programs run at a time, by default one per available core. The interpreters stay
    warm for the next call and end with this process.
    """
    if not programs:
        return []
    count = min(workers or _cores(), len(programs))
    with ThreadPoolExecutor(count, thread_name_prefix="check") as pool:
        return list(pool.map(lambda program: _check_one(program, timeout), programs))


class _Interpreter:
    """One warm interpreter; runs one check at a time."""

    def __init__(self) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="titrate-checks-"))
        try:
            self._process = subprocess.Popen(
                # -P and -s keep the working directory and the user's packages out of its path.
                [sys.executable, "-P", "-s", str(_PROGRAM), str(self._directory)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=_ENVIRONMENT,
                cwd=self._directory,
                bufsize=0,
                start_new_session=True,  # Ctrl-C is for the harness, which then closes the input
            )
        except OSError as error:
            shutil.rmtree(self._directory)
            raise _cannot_start(str(error)) from error
        # Without this, a machine that cannot run it at all would fail every program in silence.
        if self._reply(monotonic() + _START) is None:
            self.close()
            raise _cannot_start(f"{_PROGRAM} ended or hung before its first check")

    def check(self, program: str, timeout: float) -> Verdict | None:
        """The verdict, or None when the interpreter itself was lost."""
        body = json.dumps({"program": program, "timeout": timeout}).encode()
        try:
            self._write(struct.pack(">I", len(body)) + body)
        except OSError:
            return None
        return self._reply(monotonic() + timeout + _GRACE)

    def close(self) -> None:
        """End the interpreter, and with it whatever it is running."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream:
                stream.close()
        try:
            self._process.wait(1.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _reply(self, deadline: float) -> Verdict | None:
        try:
            (size,) = struct.unpack(">I", self._read(4, deadline))
            reply = json.loads(self._read(size, deadline))
        except EOFError:
            return None
        return Verdict(reply["passed"], reply["detail"])

    def _write(self, message: bytes) -> None:
        assert self._process.stdin is not None
        while message:
            message = message[self._process.stdin.write(message) :]

    def _read(self, size: int, deadline: float) -> bytes:
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        received = bytearray()
        while len(received) < size:
            ready, _, _ = select([descriptor], [], [], max(0.0, deadline - monotonic()))
            part = os.read(descriptor, size - len(received)) if ready else b""
            if not part:
                raise EOFError
            received += part
        return bytes(received)


def _cannot_start(why: str) -> SandboxError:
    return SandboxError(
        f"{sys.executable} cannot run untrusted code: {why}; "
        "it needs a POSIX system (fork, process limits) and an interpreter that may be started"
    )


_idle: queue.SimpleQueue[_Interpreter] = queue.SimpleQueue()
_of_parents: list[queue.SimpleQueue[_Interpreter]] = []


def _check_one(program: str, timeout: float) -> Verdict:
    """One check in an idle interpreter, or in a new one when none is idle."""
    try:
        interpreter = _idle.get_nowait()
    except queue.Empty:
        interpreter = _Interpreter()
    verdict = interpreter.check(program, timeout)
    if verdict is None:
        interpreter.close()
        return Verdict(passed=False, detail="took its interpreter down")
    _idle.put(interpreter)
    return verdict


def _close_idle() -> None:
    while True:
        try:
            _idle.get_nowait().close()
        except queue.Empty:
            return


def _forget_idle() -> None:
    """A forked copy of this process must neither use nor end its parent's interpreters."""
    global _idle
    _of_parents.append(_idle)  # kept, because collecting a Popen of a live process warns
    _idle = queue.SimpleQueue()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


atexit.register(_close_idle)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_idle)
