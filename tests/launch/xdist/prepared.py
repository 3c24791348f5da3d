"""Workers that start in a fraction of a second: forks of a process that has imported everything.

Importing torch and transformers takes longer than a small run. execnet starts a worker by running
a Python with two pipes; here that Python is a small client, which hands its pipes to the prepared
process. What that one forks is a process of its own, with its own files and its own death.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil

_SERVER = """
import array, json, os, signal, socket, sys
import torch, transformers, scipy.stats, statsmodels.api, pandas
import pytest, xdist, execnet
import harness.plugin.hooks, harness.runs.session, harness.launch.xdist.worker
from harness.models.loading import load
load("zoo/moe")
signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel buries the dead
listening = socket.socket(socket.AF_UNIX)
listening.bind(sys.argv[1])
listening.listen()
print("ready", flush=True)
while True:
    connection, _ = listening.accept()
    text, ancillary, _, _ = connection.recvmsg(1 << 20, 64)
    pipes = array.array("i", ancillary[0][2])
    if os.fork() == 0:
        listening.close()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.setsid()
        for number, pipe in enumerate(pipes):
            os.dup2(pipe, number)
            os.close(pipe)
        folder, environment = json.loads(text)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        sys.stdin = open(0, closefd=False)
        sys.argv = ["-c"]
        # What `python -c` runs when execnet has started it.
        exec(eval(sys.stdin.readline()), {"__name__": "__main__"})
        os._exit(0)
    for pipe in pipes:
        os.close(pipe)
    connection.close()
"""
_CLIENT = """
import array, json, os, socket, sys
connection = socket.socket(socket.AF_UNIX)
connection.connect({address!r})
text = json.dumps([os.getcwd(), dict(os.environ)]).encode()
rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0, 1, 2]))
connection.sendmsg([text], [rights])
nothing = os.open(os.devnull, os.O_RDWR)
for number in range(3):
    os.dup2(nothing, number)
connection.recv(1)  # until the worker is dead
"""


class PreparedWorkers:
    """The prepared process. `option` is what pytest-xdist takes instead of `-n`."""

    def __init__(self, folder: Path) -> None:
        address = folder / "workers"
        self._client = folder / "client.py"
        self._client.write_text(_CLIENT.format(address=str(address)))
        self._process = subprocess.Popen(
            [sys.executable, "-c", _SERVER, str(address)], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def option(self, workers: int) -> tuple[str, str]:
        """As many workers as that."""
        python = f"{sys.executable} -I -S {self._client}"
        return "--dist=load", f"--tx={workers}*popen//python={python}"

    def alive(self) -> list[psutil.Process]:
        """The workers that live at this moment."""
        return psutil.Process(self._process.pid).children()

    def close(self) -> None:
        """End the process, and all workers that are left."""
        for worker in self.alive():
            worker.kill()
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
