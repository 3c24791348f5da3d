"""The warm interpreter's loop: one judge per check, and nothing left when a check ends.

It never reads what is checked. A request is a time limit with one end of a socket, on which the
harness and the judge speak; the reply says how the judge ended, once all processes of the check are
gone.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import struct
import sys
import time
from contextlib import suppress
from pathlib import Path

from harness.sandbox import judge
from harness.sandbox.confinement import Confinement
from harness.sandbox.limits import Time

#: A check's `Time`; whether the judge had to be killed and its wait status.
REQUEST = struct.Struct("!ddd")
REPLY = struct.Struct("!?i")
#: Seconds beyond a check's wall clock after which its judge counts as hung.
GRACE = 2.0


def serve(control: socket.socket, confinement: Confinement) -> None:
    """Answer requests until the harness hangs up."""
    while True:
        request, descriptors, _, _ = socket.recv_fds(control, REQUEST.size, 1)
        if not request:
            return
        limits = Time(*REQUEST.unpack(request))
        killed, status = _check(descriptors[0], limits, confinement, control)
        try:
            control.sendall(REPLY.pack(killed, status))
        except OSError:
            return


def _check(
    connection: int, limits: Time, confinement: Confinement, control: socket.socket
) -> tuple[bool, int]:
    announced, announce = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(announced)
        os.close(control.fileno())
        judge.run(connection, announce, limits, confinement)
    os.close(announce)
    os.close(connection)
    candidate, ended = _watch(announced, control.fileno(), time.monotonic() + limits.wall + GRACE)
    os.close(announced)
    if not ended:
        if candidate is not None and sys.platform != "linux":
            _kill(candidate)  # elsewhere orphans do not come to us
        _kill(process)
    _, status = os.waitpid(process, 0)
    _reap(candidate)
    _empty(confinement)
    return not ended, status


def _watch(announced: int, control: int, deadline: float) -> tuple[int | None, bool]:
    """The candidate's process id, once it has one, and whether the judge ended by itself.

    The judge holds the other end of the pipe: its end is the pipe's. A harness that hangs up during
    a check, because it was killed, ends the check.
    """
    candidate = None
    while True:
        left = max(0.0, deadline - time.monotonic())
        ready, _, _ = select.select([announced, control], [], [], left)
        if announced in ready:
            message = os.read(announced, 4)
            if not message:
                return candidate, True
            (candidate,) = struct.unpack("=i", message)
        else:
            return candidate, False


def _reap(candidate: int | None) -> None:
    """Wait for every process that a judge which did not end by itself has left to us."""
    if candidate is not None:
        try:
            if os.waitpid(candidate, os.WNOHANG) == (0, 0):
                _kill(candidate)
                os.waitpid(candidate, 0)
        except ChildProcessError:
            pass  # its judge has waited for it
    try:
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass
    except ChildProcessError:
        pass


def _kill(process: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)


def _empty(confinement: Confinement) -> None:
    """Where checks share a directory, the next one finds it empty."""
    if confinement.nested:
        return
    with os.scandir(confinement.work) as entries:
        left = list(entries)
    if left:
        import shutil

        for entry in left:
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            else:
                Path(entry.path).unlink()
