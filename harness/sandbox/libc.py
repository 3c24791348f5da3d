"""Linux system calls that Python 3.11 has no function for; a failed one raises OSError."""

from __future__ import annotations

import ctypes
import os

CLONE_NEWNS = 0x0002_0000
CLONE_NEWCGROUP = 0x0200_0000
CLONE_NEWUTS = 0x0400_0000
CLONE_NEWIPC = 0x0800_0000
CLONE_NEWUSER = 0x1000_0000
CLONE_NEWPID = 0x2000_0000
CLONE_NEWNET = 0x4000_0000

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_REMOUNT = 32
MS_BIND = 4096
MS_REC = 16384
MS_PRIVATE = 1 << 18

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_CAPBSET_DROP = 24
PR_SET_SECCOMP = 22
PR_SET_SECUREBITS = 28
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT = 47

_MNT_DETACH = 2
_libc = ctypes.CDLL(None, use_errno=True)


def unshare(flags: int) -> None:
    """Leave namespaces of the parent for new ones."""
    _checked(_libc.unshare(ctypes.c_int(flags)), "unshare")


def mount(source: str | None, target: str, kind: str | None, flags: int, options: str = "") -> None:
    """Mount a file system; `source` and `kind` are None where the kernel ignores them."""
    done = _libc.mount(
        None if source is None else os.fsencode(source),
        os.fsencode(target),
        None if kind is None else kind.encode(),
        ctypes.c_ulong(flags),
        options.encode() or None,
    )
    _checked(done, f"mount {target}")


def pivot_root(new_root: str, put_old: str) -> None:
    """Make `new_root` the root of this mount namespace; the old one appears at `put_old`."""
    _checked(_libc.pivot_root(os.fsencode(new_root), os.fsencode(put_old)), "pivot_root")


def unmount(target: str) -> None:
    """Detach what is mounted at a path."""
    _checked(_libc.umount2(os.fsencode(target), _MNT_DETACH), f"umount {target}")


def set_hostname(name: str) -> None:
    """Of the current UTS namespace."""
    _checked(_libc.sethostname(name.encode(), len(name)), "sethostname")


def prctl(option: int, first: int = 0, second: int = 0) -> None:
    """An operation on this process; unused arguments are zero, as the kernel demands."""
    arguments = [ctypes.c_ulong(value) for value in (first, second, 0, 0)]
    _checked(_libc.prctl(ctypes.c_int(option), *arguments), f"prctl {option}")


def capset(header: bytes, sets: bytes) -> None:
    """Set the capabilities of this thread."""
    _checked(_libc.capset(header, sets), "capset")


def syscall(name: str, number: int, *arguments: int | bytes | None) -> int:
    """A system call that the C library has no wrapper for; `name` is for the error."""
    values = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    _libc.syscall.restype = ctypes.c_long
    return _checked(_libc.syscall(ctypes.c_long(number), *values), name)


def _checked(result: int, call: str) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{call}: {os.strerror(code)}")
    return result
