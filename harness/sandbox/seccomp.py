"""The system call filter: what is not listed fails with EPERM, in this process and its threads.

A classic BPF program over `struct seccomp_data` (see seccomp(2)): `nr`, `arch`, then six 64-bit
arguments. Calls in another architecture's numbering kill the process, because they would pass under
another name. Processes cannot be created, as under HumanEval's own checker; threads can.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Iterator, Sequence
from functools import cache

from harness.sandbox import libc
from harness.sandbox.syscall_numbers import ALLOWED, FILTERED, numbers

Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, constant

AUDIT_ARCH = {"x86_64": 0xC000_003E, "aarch64": 0xC000_00B7}
_X32_BIT = 0x4000_0000  # x86-64 runs a second table of calls under numbers with this bit

_SIZE = struct.calcsize("=HBBI")
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE = 0, 4
KILL, FAIL, ALLOW = 0x8000_0000, 0x0005_0000, 0x7FFF_0000
_DENY = FAIL | errno.EPERM

_MODE_FILTER = 2
_AF_UNIX = 1
_CLONE_THREAD, _CLONE_PARENT = 0x1_0000, 0x8000
_CLONE_NEW = 0x7E02_0000  # every namespace that clone(2) can make
#: F_DUPFD to F_SETLKW and F_DUPFD_CLOEXEC; F_SETOWN would send signals to others.
_FILE_CONTROLS = (0, 1, 2, 3, 4, 5, 6, 7, 1030)
#: TCGETS and TIOCGWINSZ (is this a terminal?), FIONBIO, FIONCLEX, FIOCLEX.
_DEVICE_CONTROLS = (0x5401, 0x5413, 0x5421, 0x5450, 0x5451)


def supported() -> bool:
    """Whether there is a table for this machine and filters in its kernel."""
    if platform.machine() not in AUDIT_ARCH:
        return False
    try:
        libc.prctl(libc.PR_SET_SECCOMP, _MODE_FILTER, 0)  # no program: EFAULT where it is known
    except OSError as error:
        return error.errno == errno.EFAULT
    return True


def restrict() -> None:
    """Install the filter for good; needs no_new_privs."""
    code = compiled(os.getpid())
    instructions = ctypes.create_string_buffer(code, len(code))
    header = struct.pack("@HP", len(code) // _SIZE, ctypes.addressof(instructions))
    pointer = ctypes.create_string_buffer(header, len(header))
    libc.prctl(libc.PR_SET_SECCOMP, _MODE_FILTER, ctypes.addressof(pointer))


@cache
def compiled(process: int) -> bytes:
    """The program for this machine; called ahead of the forks, it is assembled once for all."""
    program = assemble(platform.machine(), process)
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)


def assemble(machine: str, process: int) -> list[Instruction]:
    """The program for an architecture; signals can be sent to `process` alone, its own id."""
    program: list[Instruction] = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, AUDIT_ARCH[machine]),
        (_RETURN, 0, 0, KILL),
        (_LOAD, 0, 0, _NUMBER),
    ]
    if machine == "x86_64":
        program += [(_AT_LEAST, 0, 1, _X32_BIT), (_RETURN, 0, 0, KILL)]
    for number in sorted(numbers(ALLOWED, machine).values()):
        program += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, ALLOW)]
    rules = _rules(process)
    for name, number in numbers(FILTERED, machine).items():
        rule = rules[name]
        program += [(_EQUAL, 0, len(rule), number), *rule]
    return [*program, (_RETURN, 0, 0, _DENY)]


def _rules(process: int) -> dict[str, Sequence[Instruction]]:
    """What decides a filtered call; every rule ends in a return."""
    return {
        "fcntl": tuple(_only(1, _FILE_CONTROLS)),
        "ioctl": tuple(_only(1, _DEVICE_CONTROLS)),
        "kill": tuple(_only(0, [process])),
        "tgkill": tuple(_only(0, [process])),
        "prlimit64": tuple(_only(0, [0])),  # of this process
        "socketpair": tuple(_only(0, [_AF_UNIX])),
        # Only to its peer: an address would reach other sockets. Both halves of a pointer.
        "sendto": (
            (_LOAD, 0, 0, _argument(4)),
            (_EQUAL, 1, 0, 0),
            (_RETURN, 0, 0, _DENY),
            (_LOAD, 0, 0, _argument(4) + 4),
            (_EQUAL, 1, 0, 0),
            (_RETURN, 0, 0, _DENY),
            (_RETURN, 0, 0, ALLOW),
        ),
        "clone": (
            (_LOAD, 0, 0, _argument(0)),
            (_ANY_BIT, 0, 2, _CLONE_THREAD),
            (_ANY_BIT, 1, 0, _CLONE_NEW | _CLONE_PARENT),
            (_RETURN, 0, 0, ALLOW),
            (_RETURN, 0, 0, _DENY),
        ),
        # Its flags lie in memory that a filter cannot read; the C library falls back to clone.
        "clone3": ((_RETURN, 0, 0, FAIL | errno.ENOSYS),),
    }


def _only(argument: int, values: Sequence[int]) -> Iterator[Instruction]:
    """Allow a call whose argument, an int, is one of these."""
    yield (_LOAD, 0, 0, _argument(argument))
    for value in values:
        yield (_EQUAL, 0, 1, value)
        yield (_RETURN, 0, 0, ALLOW)
    yield (_RETURN, 0, 0, _DENY)


def _argument(index: int) -> int:
    """Offset of an argument's low half; both architectures are little-endian."""
    return 16 + 8 * index
