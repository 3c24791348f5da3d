"""A SLURM of one's own: one node on this machine, without systemd, gone when it is left."""

from __future__ import annotations

import os
import platform
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self

import psutil

_PROGRAMS = ("setpriv", "munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue")
_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
_PATIENCE = 60.0

# The scheduler looks every second, a requeued job waits for as long as credentials live, and the
# node has more cores than the machine: tasks of tests mostly import.
_CONFIGURATION = """\
ClusterName=lab
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdParameters=config_overrides
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin={tasks}
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
SelectType=select/cons_tres
SelectTypeParameters={counted}
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,sched_min_interval=1000,batch_sched_delay=0
SwitchType=switch/none
ReturnToService=2
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SlurmctldPort={controller}
SlurmdPort={daemon}
MaxArraySize={largest}
KillWait=2
InactiveLimit=0
NodeName={host} NodeAddr=127.0.0.1 CPUs=4 RealMemory={memory} State=UNKNOWN
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
PartitionName=debug Nodes={host} Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO
PartitionName=urgent Nodes={host} MaxTime=INFINITE State=UP OverSubscribe=NO PriorityTier=9
"""


def absent() -> str | None:
    """Why there can be no SLURM here, or None."""
    missing = [name for name in _PROGRAMS if shutil.which(name, path=_PATH) is None]
    if missing:
        packages = "slurmctld slurmd slurm-client munge"
        return f"{missing[0]} is not installed here (Debian: apt-get install {packages})"
    return None if os.geteuid() == 0 else "a node of SLURM is started by root"


class OneNode:
    """A controller and a node in a folder of their own; their clients find them by `environment`.

    Args:
        largest: `MaxArraySize`: an array may have so many tasks, which are numbered from 0.
        confined: Whether a task has no more memory than it asked for (control groups).
    """

    def __init__(self, largest: int = 1001, *, confined: bool = False) -> None:
        self._largest = largest
        self._confined = confined
        # Not pytest's folder: a socket's path must be short.
        self._temporary = TemporaryDirectory(prefix="titrate-slurm-", ignore_cleanup_errors=True)
        self.folder = Path(self._temporary.name)
        self.folder.chmod(0o755)
        self.host = platform.node().partition(".")[0]
        self.environment = {"SLURM_CONF": str(self.folder / "slurm.conf"), "PATH": _PATH}
        self._daemons: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        try:
            self._begin()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def _begin(self) -> None:
        for name in ("state", "spool"):
            (self.folder / name).mkdir()
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        controller, daemon = _free_ports(2)
        (self.folder / "slurm.conf").write_text(
            _CONFIGURATION.format(
                host=self.host,
                folder=self.folder,
                controller=controller,
                daemon=daemon,
                largest=self._largest,
                tasks="task/cgroup" if self._confined else "task/none",
                counted="CR_Core_Memory" if self._confined else "CR_Core",
                memory=int(psutil.virtual_memory().total * 0.9 / 2**20),
            )
        )
        # Where it is loaded and never used: "disabled" from 24.05 on, which was not there before.
        old = self._confined or _version() < (24, 5)
        (self.folder / "cgroup.conf").write_text(
            f"CgroupPlugin={'cgroup/v1' if old else 'disabled'}\nCgroupAutomount=no\n"
            f"ConstrainCores=no\nConstrainRAMSpace={'yes' if self._confined else 'no'}\n"
        )
        files = {
            name: str(self.folder / f"munge.{name}")
            for name in ("key", "socket", "pid", "log", "seed")
        }
        self._start(
            "munged",
            "--foreground",
            "--force",
            f"--key-file={files['key']}",
            f"--socket={files['socket']}",
            f"--pid-file={files['pid']}",
            f"--log-file={files['log']}",
            f"--seed-file={files['seed']}",
        )
        self._await(Path(files["socket"]).exists)
        self._start("slurmctld", "-D", "-c")
        self._start("slurmd", "-D", "-c")
        self._await(lambda: self.said("sinfo", "--noheader", "--format=%T").strip() == "idle")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.said("scancel", "--quiet", "--user=root")
        for daemon in reversed(self._daemons):
            daemon.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                daemon.wait(10)
            daemon.kill()
            daemon.wait()
        self._temporary.cleanup()

    def said(self, *command: str) -> str:
        """What a client of SLURM prints."""
        return subprocess.run(
            command, env={**os.environ, **self.environment}, capture_output=True, text=True
        ).stdout

    def _start(self, name: str, *arguments: str) -> None:
        program = shutil.which(name, path=_PATH)
        assert program is not None
        with (self.folder / f"{name}.out").open("wb") as log:
            daemon = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", program, *arguments],  # nothing outlives a test
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._daemons.append(daemon)

    def _await(self, there) -> None:
        until = time.monotonic() + _PATIENCE
        while not there():
            dead = [each for each in self._daemons if each.poll() is not None]
            logs = "".join(log.read_text() for log in self.folder.glob("*.out"))
            assert not dead, logs
            assert time.monotonic() < until, logs
            time.sleep(0.1)


def _version() -> tuple[int, ...]:
    said = subprocess.run(["slurmd", "-V"], env={"PATH": _PATH}, capture_output=True, text=True)
    return tuple(map(int, said.stdout.split()[-1].split(".")[:2]))


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
