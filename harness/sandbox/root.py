"""The root directory that model-written code sees: the interpreter's library, four devices, /tmp.

    /<base>/lib, /usr/lib, /lib, ...   read-only, without what pip installed there
    /packages/numpy                    read-only; numpy comes with the reference checker
    /dev/null zero random urandom
    /tmp                               empty here; each check mounts its own

Everything else of the machine is not hidden but absent.
"""

from __future__ import annotations

import errno
import os
import struct
from pathlib import Path
from typing import NamedTuple

from harness.sandbox import libc
from harness.sandbox.limits import FILE_COUNT, FILES

PACKAGES = "/packages"
DEVICES = ("null", "zero", "random", "urandom")
#: Where a new mount may lie; only this mount namespace sees it there.
_STAGES = ("/tmp", "/mnt", "/run", "/var")  # noqa: S108
_READ_ONLY = libc.MS_RDONLY | libc.MS_NOSUID | libc.MS_NODEV
_MOUNT_SETATTR = 442
_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000


class Visible(NamedTuple):
    """What is shown of the machine. `libraries` and `masked` keep their paths; a masked directory
    is empty; `packages` are directories shown below `/packages` by their own names.
    """

    libraries: tuple[str, ...]
    masked: tuple[str, ...]
    packages: tuple[str, ...]


def visible_to(base_prefix: str, packages: tuple[str, ...]) -> Visible:
    """What an interpreter needs: its own library, the system's, and some packages.

    What pip installed is masked: a data set's package holds the tests that a completion must not
    read.
    """
    wanted = (f"{base_prefix}/lib", "/usr/lib", "/usr/lib64", "/lib", "/lib64")
    libraries = tuple(dict.fromkeys(path for path in wanted if Path(path).is_dir()))
    masked = tuple(
        str(place)
        for library in libraries
        if not Path(library).is_symlink()
        for place in sorted(Path(library).glob("python*/*-packages"))
    )
    return Visible(libraries, masked, packages)


def build_root(visible: Visible) -> str:
    """Mount the new root somewhere and return where; for a mount namespace of its own."""
    libc.mount(None, "/", None, libc.MS_REC | libc.MS_PRIVATE)
    stage = next(path for path in _STAGES if Path(path).is_dir())
    # Opened before the stage hides what lies below it.
    sources = {
        path: os.open(path, os.O_PATH | os.O_CLOEXEC)
        for path in (*visible.libraries, *visible.packages, *(f"/dev/{name}" for name in DEVICES))
    }
    libc.mount("tmpfs", stage, "tmpfs", libc.MS_NOSUID | libc.MS_NODEV, "size=1m,mode=755")
    for path in visible.libraries:
        if Path(path).is_symlink():  # /lib is usr/lib where /usr is merged
            Path(stage + path).symlink_to(Path(path).readlink())
        else:
            _show_directory(sources[path], stage + path)
    for path in visible.packages:
        _show_directory(sources[path], f"{stage}{PACKAGES}/{Path(path).name}")
    for path in visible.masked:
        libc.mount("tmpfs", stage + path, "tmpfs", _READ_ONLY, "size=4k,mode=555")
    Path(stage, "dev").mkdir()
    for name in DEVICES:
        target = f"{stage}/dev/{name}"
        Path(target).touch()
        libc.mount(_by_descriptor(sources[f"/dev/{name}"]), target, None, libc.MS_BIND)
    for name in ("tmp", "old"):
        Path(stage, name).mkdir()
    for descriptor in sources.values():
        os.close(descriptor)
    return stage


def enter_root(stage: str) -> None:
    """Make what was built the root, and drop the machine's."""
    os.chdir(stage)
    libc.pivot_root(".", "old")
    os.chdir("/")
    libc.unmount("/old")
    Path("/old").rmdir()


def seal_root() -> None:
    """No more changes to the root's own directories."""
    libc.mount(None, "/", None, libc.MS_REMOUNT | libc.MS_BIND | _READ_ONLY)


def mount_private_tmp() -> None:
    """An empty /tmp of bounded size in this mount namespace; nothing in it can be executed."""
    flags = libc.MS_NOSUID | libc.MS_NODEV | libc.MS_NOEXEC
    options = f"size={FILES},nr_inodes={FILE_COUNT},mode=700"
    libc.mount("tmpfs", "/tmp", "tmpfs", flags, options)  # noqa: S108


def _show_directory(source: int, target: str) -> None:
    """Bind a directory with everything mounted below it, all of it read-only."""
    Path(target).mkdir(parents=True, exist_ok=True)
    libc.mount(_by_descriptor(source), target, None, libc.MS_BIND | libc.MS_REC)
    attributes = struct.pack("=QQQQ", _READ_ONLY_ATTRIBUTES, 0, 0, 0)
    try:
        libc.syscall(
            "mount_setattr",
            _MOUNT_SETATTR,
            _AT_FDCWD,
            os.fsencode(target),
            _AT_RECURSIVE,
            attributes,
            len(attributes),
        )
    except OSError as error:
        if error.errno != errno.ENOSYS:  # Linux 5.12 has it
            raise
        remount_read_only(target)


_READ_ONLY_ATTRIBUTES = 1 | 2 | 4  # MOUNT_ATTR_RDONLY, _NOSUID, _NODEV; not the MS_ numbers' kin


def remount_read_only(top: str) -> None:
    """The same on older kernels, mount by mount; flags that a mount has must be named again."""
    kept = {"noexec": libc.MS_NOEXEC, "noatime": 1024, "nodiratime": 2048, "relatime": 1 << 21}
    table = Path("/proc/self/mountinfo").read_text(encoding="utf-8")
    mounts = [line.split(" ")[4:6] for line in table.splitlines()]
    for place, options in mounts:
        path = place.encode().decode("unicode_escape")  # blanks are written as \040
        if path == top or path.startswith(f"{top}/"):
            flags = sum(kept.get(option, 0) for option in options.split(","))
            libc.mount(None, path, None, libc.MS_REMOUNT | libc.MS_BIND | _READ_ONLY | flags)


def _by_descriptor(descriptor: int) -> str:
    return f"/proc/self/fd/{descriptor}"
