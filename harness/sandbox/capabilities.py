"""Gives up every capability for good; see capabilities(7)."""

from __future__ import annotations

import errno
import struct

from harness.sandbox import libc

_VERSION_3 = 0x2008_0522
_AMBIENT_CLEAR_ALL = 4
#: NOROOT, NO_SETUID_FIXUP and NO_CAP_AMBIENT_RAISE with their locks, and KEEP_CAPS_LOCKED: no later
#: change of user id can bring a capability back.
_SECUREBITS = 0b11101111


def drop_capabilities() -> None:
    """Empty all five sets; the caller must hold CAP_SETPCAP in its user namespace."""
    libc.prctl(libc.PR_SET_SECUREBITS, _SECUREBITS)
    for capability in range(64):
        try:
            libc.prctl(libc.PR_CAPBSET_DROP, capability)
        except OSError as error:
            if error.errno != errno.EINVAL:  # above the last capability that this kernel knows
                raise
            break
    libc.prctl(libc.PR_CAP_AMBIENT, _AMBIENT_CLEAR_ALL)
    libc.capset(struct.pack("=II", _VERSION_3, 0), bytes(24))
