"""The same root by bubblewrap, for machines that let only `bwrap` make namespaces.

Such machines (a setuid `bwrap`, or an AppArmor profile for it) leave nothing inside the right to
make more of them, so that checks share one process tree; there the system call filter is what keeps
them from each other, and the level is refused without it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from harness.errors import SandboxError
from harness.sandbox.limits import FILES
from harness.sandbox.root import DEVICES, PACKAGES, Visible

#: Where this room's modules lie inside.
SOURCE = "/sandbox"
_ROOM = Path(__file__).parent


def command(visible: Visible, python: Path, arguments: Sequence[str]) -> list[str]:
    """`bwrap` around an interpreter; raises SandboxError where it cannot serve."""
    program = shutil.which("bwrap")
    if program is None:
        raise SandboxError("bwrap is not installed")
    if os.geteuid() == 0:
        raise SandboxError("not as root, whom the kernel exempts from limits on processes")
    line = [program, "--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-net"]
    line += ["--unshare-uts", "--unshare-cgroup-try", "--hostname", "sandbox", "--as-pid-1"]
    line += ["--uid", "1000", "--gid", "1000", "--new-session", "--cap-drop", "ALL"]
    for path in visible.libraries:
        if Path(path).is_symlink():
            line += ["--symlink", str(Path(path).readlink()), path]
        else:
            line += ["--ro-bind", path, path]
    for path in visible.packages:
        line += ["--ro-bind", path, f"{PACKAGES}/{Path(path).name}"]
    for path in visible.masked:
        line += ["--tmpfs", path, "--remount-ro", path]
    for name in DEVICES:
        line += ["--dev-bind", f"/dev/{name}", f"/dev/{name}"]
    line += ["--ro-bind", str(_ROOM), f"{SOURCE}/harness/sandbox", "--ro-bind"]
    line += [str(python), str(python), "--size", str(FILES), "--tmpfs", "/tmp"]  # noqa: S108
    return [*line, "--remount-ro", "/", "--chdir", "/", "--", str(python), *arguments]
