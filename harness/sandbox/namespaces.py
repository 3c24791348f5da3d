"""New namespaces for the warm interpreter, as an ordinary user or as root: see namespaces(7).

An ordinary user gains the right to mount from a user namespace of their own. Root mounts first, so
that an interpreter below a home that only root may enter can be shown, and is then mapped to a user
id that no user has: the kernel exempts the real root from limits on processes.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

from harness.sandbox import libc
from harness.sandbox.root import Visible, build_root, enter_root, seal_root

_USER = 1000  # as seen inside
#: Far above every id in use; the process id keeps two sandboxes apart.
_UNPRIVILEGED = 0x7000_0000
_ALL = (
    libc.CLONE_NEWUSER
    | libc.CLONE_NEWNS
    | libc.CLONE_NEWPID
    | libc.CLONE_NEWIPC
    | libc.CLONE_NEWNET
    | libc.CLONE_NEWUTS
    | libc.CLONE_NEWCGROUP
)
OF_A_CHECK = libc.CLONE_NEWPID | libc.CLONE_NEWNS | libc.CLONE_NEWIPC


def enter(visible: Visible) -> None:
    """Return as process 1 of new namespaces, in a root that shows only what is `visible`.

    The caller stays outside as a parent that waits and then exits with the same status. Raises
    OSError where the kernel or its settings refuse.
    """
    os.umask(0o022)  # the root must be open to the user that this process becomes
    if os.getuid() == 0 and _is_mapped(_UNPRIVILEGED):
        _enter_as_root(visible)
    else:  # also the root of a container whose ids are a user's: unprivileged outside as it is
        _enter_as_user(visible)
    process = os.fork()
    if process:
        os.closerange(3, 64)
        _, status = os.waitpid(process, 0)
        os._exit(os.waitstatus_to_exitcode(status) & 0xFF)
    libc.prctl(libc.PR_SET_PDEATHSIG, signal.SIGKILL)
    libc.set_hostname("sandbox")
    seal_root()
    os.umask(0o077)


def _enter_as_user(visible: Visible) -> None:
    user, group = os.getuid(), os.getgid()
    libc.unshare(_ALL)
    for name, value in (
        ("setgroups", "deny"),
        ("uid_map", f"{_USER} {user} 1"),
        ("gid_map", f"{_USER} {group} 1"),
    ):
        Path("/proc/self", name).write_text(value, "ascii")
    enter_root(build_root(visible))


def _enter_as_root(visible: Visible) -> None:
    libc.unshare(libc.CLONE_NEWNS)
    processes = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY)  # the new root has none
    enter_root(build_root(visible))
    outside = _UNPRIVILEGED + os.getpid()
    unshared, ask = os.pipe()
    helper = _fork_mapper(processes, unshared, ask, f"{_USER} {outside} 1")
    os.close(processes)
    os.close(unshared)
    os.setgroups([])
    libc.unshare(_ALL)
    os.write(ask, b"x")
    os.close(ask)
    _, status = os.waitpid(helper, 0)
    if status != 0:
        raise OSError(f"uid_map: not written (status {status})")
    os.setresgid(_USER, _USER, _USER)
    os.setresuid(_USER, _USER, _USER)


def _is_mapped(user: int) -> bool:
    """Whether this user namespace knows an id, so that a new one can be given it."""
    ranges = [line.split() for line in Path("/proc/self/uid_map").read_text("ascii").splitlines()]
    return any(int(first) <= user < int(first) + int(count) for first, _, count in ranges)


def _fork_mapper(processes: int, unshared: int, ask: int, mapping: str) -> int:
    """A child outside of the new user namespace that maps its parent's ids once it is asked to."""
    parent = os.getpid()
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        os.close(ask)
        if os.read(unshared, 1):
            for name in ("uid_map", "gid_map"):
                file = os.open(f"{parent}/{name}", os.O_WRONLY, dir_fd=processes)
                os.write(file, mapping.encode())
            status = 0
    finally:
        os._exit(status)
