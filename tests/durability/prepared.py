"""Real runs in processes of their own that start in a fraction of a second.

Importing torch and transformers takes longer than a small run. A prepared process imports them
once and forks for every run; each child is an ordinary process that runs pytest's or titrate's
`main`, may be killed by any signal, and shares nothing with the others but the imported code.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

_SERVER = """
import json, os, sys
import torch, transformers, matplotlib, scipy.stats, statsmodels.api
import pytest, harness.cli.main, harness.plugin.hooks
import harness.runs.session, harness.runs.forecast_table
from harness.models.loading import load
load("zoo/moe")
print("ready", flush=True)
for line in sys.stdin:
    folder, program, arguments, limit = json.loads(line)
    child = os.fork()
    if child == 0:
        os.chdir(folder)
        log = os.open("log.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for stream in (1, 2):
            os.dup2(log, stream)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        sys.argv = [program, *arguments]
        if limit is not None:
            import resource
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        main = {"pytest": pytest.main, "titrate": harness.cli.main.main}[program]
        status = int(main(arguments))
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@dataclass
class Ended:
    """How a run ended: its exit status (negative: the signal), and all that it printed."""

    status: int
    output: str


class Prepared:
    """The prepared process. One run at a time, of pytest or of titrate."""

    def __init__(self, program: str = "pytest") -> None:
        self._program = program
        self._process = subprocess.Popen(
            [sys.executable, "-c", _SERVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "NO_COLOR": "1", "COLUMNS": "120"},
        )
        assert self._line() == "ready"

    def start(self, folder: Path, *arguments: str, limit: int | None = None) -> int:
        """Begin a run; returns its process id. `limit` is the size that no file may exceed."""
        self._folder = folder
        (folder / "log.txt").touch()  # a run may be killed before it opens it
        command = ["-p", "no:cacheprovider"] if self._program == "pytest" else []
        order = [str(folder), self._program, [*command, *arguments], limit]
        print(json.dumps(order), file=self._process.stdin, flush=True)
        return int(self._line())

    def wait(self) -> Ended:
        """How the run ended."""
        status = int(self._line())
        return Ended(status, (self._folder / "log.txt").read_text("utf-8", "replace"))

    def run(self, folder: Path, *arguments: str, limit: int | None = None) -> Ended:
        """Begin a run and wait for its end."""
        self.start(folder, *arguments, limit=limit)
        return self.wait()

    def run_until(self, written: int, number: int, folder: Path, *arguments: str) -> Ended:
        """Begin a run and send it a signal when `.titrate` holds so many bytes, if it ever does."""
        process = self.start(folder, *arguments)
        while Path(f"/proc/{process}").exists() and size(folder) < written:
            time.sleep(0.0005)
        try:
            os.kill(process, number)
        except ProcessLookupError:
            assert number == signal.SIGKILL
        return self.wait()

    def close(self) -> None:
        """End the prepared process."""
        self._process.communicate()

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


def size(folder: Path) -> int:
    """Bytes of completions and case records below a project's folder."""
    total = 0
    for pattern in (".titrate/store/*.jsonl", ".titrate/runs/*/cases-*.jsonl"):
        total += sum(path.stat().st_size for path in folder.glob(pattern))
    return total
