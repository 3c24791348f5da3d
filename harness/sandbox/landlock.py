"""Landlock: files that may be read or written, no TCP, no signals or abstract sockets outwards.

Kernel documentation: userspace-api/landlock. What this kernel's version of it lacks stays off.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Sequence

from harness.sandbox import libc

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on every architecture
_ASK_VERSION = 1
_RULE_PATH_BENEATH = 1

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_MAKE_CHAR, _MAKE_BLOCK = 1 << 6, 1 << 11
_TRUNCATE, _IOCTL_DEV = 1 << 14, 1 << 15
_OF_FILES = _WRITE_FILE | _READ_FILE | _TRUNCATE
#: File rights known to version 1; versions 2, 3 and 5 added REFER, TRUNCATE and IOCTL_DEV.
_FIRST_RIGHTS = (1 << 13) - 1
_TCP = 0b11  # bind, connect
_SCOPES = 0b11  # abstract unix sockets, signals


def version() -> int:
    """The kernel's Landlock version, 0 where it has none."""
    try:
        return libc.syscall("landlock_create_ruleset", _CREATE_RULESET, None, 0, _ASK_VERSION)
    except OSError:
        return 0


def restrict(read: Sequence[str], write: Sequence[str]) -> None:
    """Leave this process only files beneath these paths, for good; needs no_new_privs."""
    known = version()
    rights = _FIRST_RIGHTS
    for since, right in ((2, 1 << 13), (3, _TRUNCATE), (5, _IOCTL_DEV)):
        rights |= right if known >= since else 0
    attributes = struct.pack(
        "=QQQ", rights, _TCP if known >= 4 else 0, _SCOPES if known >= 6 else 0
    )
    size = 8 if known < 4 else 16 if known < 6 else 24
    ruleset = libc.syscall("landlock_create_ruleset", _CREATE_RULESET, attributes, size, 0)
    try:
        for path in read:
            _allow(ruleset, path, _READ_FILE | _READ_DIR)
        for path in write:
            _allow(ruleset, path, rights & ~(_EXECUTE | _MAKE_CHAR | _MAKE_BLOCK | _IOCTL_DEV))
        libc.syscall("landlock_restrict_self", _RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: str, rights: int) -> None:
    beneath = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not stat.S_ISDIR(os.fstat(beneath).st_mode):
            rights &= _OF_FILES
        rule = struct.pack("=Qi", rights, beneath)
        libc.syscall("landlock_add_rule", _ADD_RULE, ruleset, _RULE_PATH_BENEATH, rule, 0)
    finally:
        os.close(beneath)
