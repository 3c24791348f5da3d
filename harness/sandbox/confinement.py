"""The layers around one candidate, put on in the candidate itself before it runs a foreign byte."""

from __future__ import annotations

import os
import signal
import sys
from typing import NamedTuple

from harness.sandbox import landlock, libc, seccomp
from harness.sandbox.candidate import CHANNEL
from harness.sandbox.capabilities import drop_capabilities
from harness.sandbox.limits import Time, limit_candidate
from harness.sandbox.namespaces import OF_A_CHECK
from harness.sandbox.root import mount_private_tmp

#: Every descriptor of a warm interpreter is below this.
DESCRIPTORS = 64


class Confinement(NamedTuple):
    """What a warm interpreter found that this machine can do.

    `nested`: each check has its own process tree, /tmp and queues. `read` and `write` are for
    Landlock, which is on where its version is not 0.
    """

    nested: bool
    landlock: int
    seccomp: bool
    work: str
    read: tuple[str, ...]
    write: tuple[str, ...]

    def prepare_check(self) -> None:
        """In the judge: its next child is process 1 of a new tree, in a mount namespace of ours."""
        if self.nested:
            libc.unshare(OF_A_CHECK)

    def confine(self, time: Time) -> None:
        """In the candidate: leave nothing but its channel, /dev/null and what a program needs."""
        os.setsid()
        os.closerange(CHANNEL + 1, DESCRIPTORS)
        if sys.platform == "linux":
            libc.prctl(libc.PR_SET_PDEATHSIG, signal.SIGKILL)
        if self.nested:
            mount_private_tmp()
            drop_capabilities()
        os.chdir(self.work)
        limit_candidate(time)
        if sys.platform == "linux":
            libc.prctl(libc.PR_SET_NO_NEW_PRIVS, 1)
        if self.landlock:
            landlock.restrict(self.read, self.write)
        if self.seccomp:
            seccomp.restrict()
