"""The harness's end of one warm interpreter: start it at a level, hand it checks, end it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from harness.errors import SandboxError
from harness.sandbox import bubblewrap, frames
from harness.sandbox.levels import Level
from harness.sandbox.limits import Time
from harness.sandbox.outcomes import of_judges_exit
from harness.sandbox.root import Visible, visible_to
from harness.sandbox.verdicts import Outcome, Verdict
from harness.sandbox.zygote import GRACE, REPLY, REQUEST

#: What the reference checker's own package requires, so that its completions can import it.
_PACKAGES = ("numpy", "numpy.libs")
_SOURCE = Path(__file__).parents[2]
#: Characters of a completion at most.
LONGEST_COMPLETION = 8 << 20
#: Seconds that an interpreter may take to start; usual is a tenth of one.
_START_LIMIT = 60.0
#: Seconds beyond the zygote's own patience before an interpreter counts as lost.
_PATIENCE = 10.0


class Check(NamedTuple):
    """One completion with its record's prompt and tests. Running `tests` defines `check(function)`.

    The candidate gets prompt and completion, the judge prompt and tests.
    """

    prompt: str
    completion: str
    tests: str
    entry_point: str


class LostError(SandboxError):
    """An interpreter that ended or hung, with whatever it was checking."""


class WarmInterpreter:
    """One warm interpreter at a level, for one check at a time. `layers`: what it can put on."""

    def __init__(self, level: Level) -> None:
        self.level = level
        self._control, theirs = socket.socketpair()
        try:
            with theirs:
                self._process = _start(level, theirs)
        except BaseException:
            self._control.close()
            raise
        self.layers: Sequence[str] = self._await_start()

    def check(self, check: Check, limits: Time) -> Verdict:
        """The verdict; raises LostError, and SandboxError for a layer that could not be put on."""
        if len(check.completion) > LONGEST_COMPLETION:
            text = f"a completion of {len(check.completion)} characters; at most "
            return Verdict(Outcome.EXCEPTION, f"{text}{LONGEST_COMPLETION}")
        ours, theirs = socket.socketpair()
        patience = limits.wall + GRACE + _PATIENCE
        with ours:
            try:
                with theirs:
                    socket.send_fds(self._control, [REQUEST.pack(*limits)], [theirs.fileno()])
                ours.settimeout(0)  # waiting is up to `frames`
                self._send(ours, check, frames.until(time.monotonic() + patience))
                self._control.settimeout(patience)
                killed, status = REPLY.unpack(_exactly(self._control, REPLY.size))
            except (OSError, EOFError) as error:
                raise LostError(f"a warm interpreter was lost: {error!r}") from error
            try:
                reply = frames.receive(ours.fileno())
            except (OSError, EOFError):
                if killed:
                    return Verdict(Outcome.TIMED_OUT, "in the tests", stalled=True)
                return of_judges_exit(status)
        if "error" in reply:
            raise SandboxError(f"a check could not be isolated: {reply['error']}")
        outcome, detail, stalled = reply["verdict"]
        return Verdict(Outcome(outcome), detail, stalled)

    def close(self) -> None:
        """Hang up, which ends the interpreter and whatever it is running."""
        self._control.close()
        if self._process.stderr is not None:
            self._process.stderr.close()
        try:
            self._process.wait(5.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def abandon(self) -> None:
        """In a forked copy of this process: let go of what belongs to its parent."""
        self._control.close()
        if self._process.stderr is not None:
            self._process.stderr.close()

    @property
    def process_id(self) -> int:
        """Of the process that was started; the interpreter itself may be its child."""
        return self._process.pid

    def _send(self, connection: socket.socket, check: Check, left: frames.Left) -> None:
        """Give the judge both messages; it reads the second after the candidate was forked."""
        request = check._asdict()
        tests = {"tests": request.pop("tests")}
        try:
            for message in (request, tests):
                frames.send(connection.fileno(), message, left)
        except TimeoutError:
            raise
        except OSError:
            pass  # the judge ended before it had read all: its verdict, or its absence, tells
        except ValueError as error:
            raise SandboxError(f"a check that is too long: {error}") from error

    def _await_start(self) -> Sequence[str]:
        problem = f"did not start within {_START_LIMIT:g} s"
        self._control.settimeout(None)
        try:
            hello = frames.receive(
                self._control.fileno(), frames.until(time.monotonic() + _START_LIMIT)
            )
            if "layers" in hello:
                return list(hello["layers"])
            problem = hello["error"]
        except (EOFError, OSError) as error:
            if not isinstance(error, TimeoutError):
                problem = self._last_words()
        self.close()
        raise SandboxError(problem)

    def _last_words(self) -> str:
        """Why a process ended before it could say so on its control socket."""
        try:
            _, complaint = self._process.communicate(timeout=5.0)
        except subprocess.TimeoutExpired:
            return "hung up without ending"
        lines = complaint.decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"ended with status {self._process.returncode}"


def _start(level: Level, control: socket.socket) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            command(level, control.fileno()),
            pass_fds=[control.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={"PATH": os.defpath, "LANG": "C.UTF-8", "PYTHONHASHSEED": "0"},
            cwd="/",
            start_new_session=True,  # Ctrl-C is for the harness, which then hangs up
        )
    except OSError as error:
        raise SandboxError(f"{error.filename or sys.executable}: {error.strerror}") from error


def command(level: Level, control: int) -> list[str]:
    """The command line of a warm interpreter whose control socket is descriptor `control`."""
    visible = _visible()
    source = str(_SOURCE) if level is not Level.BUBBLEWRAP else bubblewrap.SOURCE
    wanted = json.dumps({"control": control, "level": level, "visible": visible, "source": source})
    start = f"import sys; sys.path.insert(0, {source!r})\n"
    start += "from harness.sandbox.launch import sandbox; sandbox(sys.argv[1])()"
    # -P, -s and -S keep the working directory and everything that was installed out of its path.
    arguments = ["-P", "-s", "-S", "-B", "-c", start, wanted]
    if level is Level.BUBBLEWRAP:
        return bubblewrap.command(visible, Path(sys.executable).resolve(), arguments)
    return [sys.executable, *arguments]


@cache
def _visible() -> Visible:
    specs = [find_spec(name) for name in _PACKAGES if "." not in name]
    found = [
        Path(spec.origin).parents[1] / name
        for spec in specs
        if spec is not None and spec.origin is not None
        for name in _PACKAGES
    ]
    return visible_to(sys.base_prefix, tuple(str(path) for path in found if path.is_dir()))


def _exactly(connection: socket.socket, size: int) -> bytes:
    received = b""
    while len(received) < size:
        part = connection.recv(size - len(received))
        if not part:
            raise EOFError
        received += part
    return received
