"""What this machine's kernel grants, layer by layer, and what a check can do inside: by trying.

Each kind of namespace is tried in a process of its own, because one with threads cannot make any.
What is tried in checks harms nothing where it is possible.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from harness.sandbox import landlock, libc, seccomp
from harness.sandbox.interpreter import Check, WarmInterpreter
from harness.sandbox.levels import Level
from harness.sandbox.limits import Time

YES = "yes"

_NAMESPACES = {
    "user": 0,
    "mount": libc.CLONE_NEWNS,
    "process": libc.CLONE_NEWPID,
    "network": libc.CLONE_NEWNET,
    "ipc": libc.CLONE_NEWIPC,
    "hostname": libc.CLONE_NEWUTS,
    "cgroup": libc.CLONE_NEWCGROUP,
}
_ATTEMPTS = {
    "read /etc/passwd": "open('/etc/passwd').close()",
    "list the home directory": "os.listdir({home!r})",
    "open the interpreter's library for writing": "os.close(os.open(os.__file__, os.O_RDWR))",
    "see other processes": "os.stat('/proc/1')",
    "start a process": "os.fork() or os._exit(0)",
    "open a network socket": "socket.socket().close()",
    "open a local socket": "socket.socket(socket.AF_UNIX).close()",
    "make a namespace": "ctypes.CDLL(None, use_errno=True).unshare(0x10000000) and fail()",
}
_HEAD = """\
import ctypes, os, socket

def fail():
    raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

"""


def namespaces() -> dict[str, str]:
    """`yes` or the kernel's reason, by kind of namespace."""
    if sys.platform != "linux":
        return dict.fromkeys(_NAMESPACES, f"needs Linux, this is {sys.platform}")
    return {name: _tried(flags) for name, flags in _NAMESPACES.items()}


def filters() -> dict[str, str]:
    """`yes`, a version, or why not, for the layers that need no namespace."""
    if sys.platform != "linux":
        return dict.fromkeys(("Landlock", "seccomp"), f"needs Linux, this is {sys.platform}")
    known = landlock.version()
    lacking = f"not in this kernel, or no table for {os.uname().machine}"
    return {
        "Landlock": f"version {known}" if known else "not in this kernel",
        "seccomp": YES if seccomp.supported() else lacking,
    }


def attempts(level: Level) -> dict[str, str]:
    """What came of harmless attempts in checks at a level: `possible`, or how it was refused."""
    interpreter = WarmInterpreter(level)
    try:
        return {
            name: _attempted(interpreter, attempt.format(home=str(Path.home())))
            for name, attempt in _ATTEMPTS.items()
        }
    finally:
        interpreter.close()


def _attempted(interpreter: WarmInterpreter, attempt: str) -> str:
    tests = "def check(function):\n    function()\n"
    check = Check(f"{_HEAD}def attempt():\n", f"    {attempt}\n", tests, "attempt")
    verdict = interpreter.check(check, Time.of(10.0))
    return "possible" if verdict.passed else str(verdict).partition(", at `")[0]


def _tried(flags: int) -> str:
    program = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parents[2])!r})\n"
        "from harness.sandbox import libc\n"
        "try: libc.unshare(libc.CLONE_NEWUSER | int(sys.argv[1]))\n"
        "except OSError as error: print(error.strerror)\n"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-s", "-S", "-c", program, str(flags)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    complaint = (done.stdout or done.stderr).strip()
    return complaint.splitlines()[-1] if complaint else YES
