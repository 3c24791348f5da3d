"""Programs that mean harm, as data. Each gives right answers if and only if its attack succeeded.

So a check that passes is a breach. They are run with every layer on and nowhere else, but for those
in `HARMLESS`, which only look: these must succeed outside of the sandbox, or they would prove
nothing. Where an attack writes, it creates a new file and never opens one that exists.

`HOST_PID`, `SECRET_FILE`, `OPEN_DIRECTORY`, `HOME` and `DATA_SET` stand for things of the machine.
"""

from __future__ import annotations

import re
import textwrap

from tests.sandbox.hostile_answers import ANSWERS
from tests.sandbox.hostile_ends import BOMBS, CRASHES, OTHER_PROGRAMS, OUTLIVING
from tests.sandbox.hostile_reach import KERNEL, READING, SIGNALS, SOCKETS, WRITING
from tests.sandbox.hostile_verdicts import FAKES

PROMPT = 'def double(x):\n    """Twice x."""\n'
MARKER = "the tests are not for the candidate"
TESTS = f"""
SECRET = {MARKER!r}

def check(candidate):
    assert candidate(21) == 42
    assert candidate([1]) == [1, 1]
    assert candidate("ab") == "abab"
"""

_HEAD = """\
    return x + x if attempt() else None


import ctypes, errno, os, signal, socket, sys, threading, time

libc = ctypes.CDLL(None, use_errno=True)
numbers = {"x86_64": 0, "aarch64": 1}

def call(x86_64, aarch64, *arguments):
    number = (x86_64, aarch64)[numbers[os.uname().machine]]
    if number is None:
        raise NotImplementedError
    arguments = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result = libc.syscall(ctypes.c_long(number), *arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result

def attempt():
"""


def _completion(attack: str) -> str:
    body = textwrap.dedent(attack).strip("\n")
    return _HEAD + textwrap.indent(body.replace("\\\\", "\\"), "    ") + "\n"


GROUPS = {
    "bombs": BOMBS,
    "reading": READING,
    "writing": WRITING,
    "signals": SIGNALS,
    "sockets": SOCKETS,
    "kernel": KERNEL,
    "programs": OTHER_PROGRAMS,
    "outliving": OUTLIVING,
    "crashes": CRASHES,
    "fakes": FAKES,
    "answers": ANSWERS,
}

#: Every hostile completion of `double` by name.
PROGRAMS = {
    name: program if group in ("fakes", "answers") else _completion(program)
    for group, programs in GROUPS.items()
    for name, program in programs.items()
}

#: How some of them end, where the outcome is part of the claim. The rest ends as it may.
ENDS = {
    "fork bomb": "forbidden: PermissionError: [Errno 1] Operation not permitted, at `if os.fork()",
    "recursive fork": "forbidden",
    "fork by raw clone": "forbidden",
    "thread bomb": "exception: RuntimeError: can't start new thread",
    "memory bomb": "out of memory: at `blocks = [bytes(256 << 20)",
    "memory bomb by mmap": "out of memory",
    "memory outside of the address space": "forbidden",
    "System V shared memory": "forbidden",
    "disk bomb": "exception: OSError: [Errno 28] No space left on device",
    "descriptor bomb": "exception: OSError: [Errno 24] Too many open files",
    "endless computation": "timed out",
    "endless sleep with all signals blocked": "timed out",
    "endless regular expression": "timed out",
    "read the password file": "exception: FileNotFoundError",
    "read a secret of the environment": "exception: KeyError",
    "import the data set": "exception: ModuleNotFoundError",
    "write below the root": "forbidden: OSError: [Errno 30] Read-only file system",
    "write into the standard library": "forbidden",
    "signal the host": "forbidden",
    "ask to be traced": "forbidden",
    "read the host's memory": "forbidden",
    "TCP": "forbidden",
    "an abstract socket": "forbidden",
    "raise its memory limit": "exception: ValueError: not allowed to raise maximum limit",
    "a user namespace": "forbidden",
    "mount": "forbidden",
    "bpf": "forbidden",
    "io_uring": "forbidden",
    "the x32 table": "forbidden",
    "calls of 32-bit programs": "forbidden",
    "exec a shell": "forbidden",
    "a signal handler that goes on": "timed out",
    "an exit handler that goes on": "exited: SystemExit",
    "a hung-up channel": "exited: it hung up",
    "segmentation fault": "killed: SIGSEGV",
    "exit when loaded": "exited: status 0",
    "exit when called": "exited: status 0",
    "SystemExit when called": "exited: SystemExit",
    "AssertionError": "exception: AssertionError",
    "an object equal to everything": "assertion failed: assert candidate(21) == 42",
    "a number equal to everything": "assertion failed: assert candidate(21) == 42",
    "a list equal to everything": "assertion failed: assert candidate(21) == 42",
    "a search for the tests": "assertion failed: assert candidate(21) == 42",
    "a deque equal to everything": "assertion failed: assert candidate([1]) == [1, 1]",
    "an object of another's": "assertion failed: assert candidate([1]) == [1, 1]",
    "a list that holds itself": "assertion failed: assert candidate([1]) == [1, 1]",
    "an argument that becomes a text": "exception: its answer is no plain data",
    "an argument that becomes a dict": "exception: its answer is no plain data",
    "a default that is called": "exception: its answer is no plain data",
    "a type by its import": "exception: its answer is no plain data",
    "a class of the judge's": "exception: Over",
    "a function as an exception": "exception: _exit",
    "no Python": "exception: SyntaxError: '(' was never closed",
    "no such function": "exception: NameError: name 'double' is not defined",
}

#: Attacks that only look, and succeed wherever nothing stops them, also for an ordinary user.
HARMLESS = (
    "read the password file",
    "list the home directory",
    "read a secret of the host",
    "read a secret of the environment",
    "list processes",
    "list mounts",
    "read the kernel's settings",
    "read the data set",
    "import the data set",
    "import the harness",
    "look up names of users",
    "signal the host",
    "signal its group",
    "limits of the host",
    "TCP over IPv6",
    "netlink",
    "a shell",
    "a subprocess",
    "descriptor bomb",
)


def filled(program: str, values: dict[str, object]) -> str:
    """A program with the machine's things in their places."""
    return re.sub("|".join(values), lambda found: str(values[found.group()]), program)
