"""Real runs in processes of their own that start in a fraction of a second.

Importing torch and transformers takes longer than a small run. One prepared process imports them
and forks for every run of pytest, of titrate, and for every worker of pytest-xdist; each child is
an ordinary process with its own files and its own death, which shares nothing with the others but
the imported code.
"""

from __future__ import annotations

import array
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import psutil

_SERVER = Path(__file__).with_name("prepared_server.py")
# execnet starts a worker by running a Python with two pipes: this one hands them over.
_CLIENT = """
import array, json, os, resource, socket
connection = socket.socket(socket.AF_UNIX)
connection.connect({address!r})
order = dict(
    program="worker", arguments=[], folder=os.getcwd(), environment=dict(os.environ),
    limit=resource.getrlimit(resource.RLIMIT_FSIZE),
)
rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0, 1, 2]))
connection.sendmsg([json.dumps(order).encode()], [rights])
nothing = os.open(os.devnull, os.O_RDWR)
for number in range(3):
    os.dup2(nothing, number)
while connection.recv(64):  # until the worker is dead
    pass
"""
# Under CI pytest's summary repeats every message whole, and what is told once counts twice.
# A worker that runs these tests is none to the run that they start.
_HIDDEN = ("CI", "PYTEST_XDIST_")


@dataclass(frozen=True)
class Ended:
    """How a run ended: its exit status (negative: the signal), and all that it printed."""

    status: int
    output: str


@dataclass(frozen=True)
class Running:
    """A run that was started, and may be killed by any signal."""

    process: int
    answers: socket.socket
    log: Path

    def wait(self) -> Ended:
        """How the run ended."""
        with self.answers:
            status = int(_line(self.answers))
        return Ended(status, self.log.read_text("utf-8", "replace"))


class Prepared:
    """The prepared process: started when the first run is, ended with `close`."""

    def __init__(self, folder: Path) -> None:
        self._address = str(folder / "orders")
        self._client = folder / "client.py"
        self._client.write_text(_CLIENT.format(address=self._address))
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(_SERVER), self._address],
            stdout=subprocess.PIPE,
            text=True,
            env=inherited() | {"OMP_NUM_THREADS": "1"},
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def start(
        self,
        folder: Path,
        *arguments: str,
        program: str = "pytest",
        limit: int | None = None,
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> Running:
        """Begin a run in a folder. `limit` is the size in bytes that no file may exceed."""
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        always = ("-p", "no:cacheprovider") if program == "pytest" else ()
        order = {
            "program": program,
            "arguments": [*always, *arguments],
            "folder": str(folder),
            "environment": inherited() | {"NO_COLOR": "1", "COLUMNS": "120"} | {**environment},
            "limit": (soft, hard) if limit is None else (limit, limit),
        }
        answers = socket.socket(socket.AF_UNIX)
        answers.connect(self._address)
        log = folder / "log.txt"
        with log.open("wb") as written, Path(os.devnull).open("rb") as nothing:
            streams = array.array("i", [nothing.fileno(), written.fileno(), written.fileno()])
            rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, streams)
            answers.sendmsg([json.dumps(order).encode()], [rights])
            process = int(_line(answers))
        return Running(process, answers, log)

    def run(self, folder: Path, *arguments: str, **how: Any) -> Ended:
        """Begin a run as `start` does, and wait for its end."""
        return self.start(folder, *arguments, **how).wait()

    def run_until(
        self,
        happened: Callable[[], bool],
        number: int,
        folder: Path,
        *arguments: str,
        program: str = "pytest",
    ) -> Ended:
        """Begin a run and send it a signal as soon as something has happened, if it ever does."""
        running = self.start(folder, *arguments, program=program)
        while psutil.pid_exists(running.process) and not happened():
            time.sleep(0.0005)
        try:
            os.kill(running.process, number)
        except ProcessLookupError:
            assert number == signal.SIGKILL
        return running.wait()

    def workers(self, number: int) -> tuple[str, ...]:
        """What pytest-xdist takes instead of `-n`, for as many workers as that; nothing for 0."""
        if number == 0:
            return ()
        python = f"{sys.executable} -I -S {self._client}"
        return "--dist=load", f"--tx={number}*popen//python={python}"

    def alive(self) -> list[psutil.Process]:
        """The runs and workers that live at this moment."""
        children = psutil.Process(self._process.pid).children()
        return [each for each in children if _lives(each)]

    def close(self) -> None:
        """End the prepared process, and all that it has started and is left."""
        for child in self.alive():
            child.kill()
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


def inherited() -> dict[str, str]:
    """The environment of runs that tests start."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_HIDDEN)}


def _lives(process: psutil.Process) -> bool:
    """Whether it is more than a name that its parent has not taken off the list yet."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _line(answers: socket.socket) -> str:
    read = b""
    while not read.endswith(b"\n"):
        more = answers.recv(1)
        assert more, "the prepared process is gone"
        read += more
    return read.decode()
