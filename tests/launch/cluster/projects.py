"""A user's project on a cluster: runs that are submitted from it, watched, killed, and read."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import psutil

from harness.launch.cluster.submission import Submission
from harness.launch.cluster.tracking import described, status
from tests.prepared import Prepared

# Strict: who runs what with whom, and where a task was killed, can change no token.
SWEEP = """\
name: sweep
model: zoo/moe
task: {name: micro_gsm8k, limit: 3}
intervention:
  kind: router_mask
  points: {usage: avg_last_agentic, samples: 2}
  count: 0
sampling: {max_new_tokens: 4}
engine: {determinism: strict, slots: 4, columns: 224}
axes: {intervention.count: [0, 4, 16, 30]}
dose: intervention.count
gates: [neutral_equals_baseline]
resources: {cpus: 1, memory: 1G, time: "10"}
"""
# One task that takes a while once it has begun.
LONG = """\
name: long
model: zoo/moe
task: {name: micro_gsm8k, limit: 40}
sampling: {max_new_tokens: 96}
engine: {determinism: strict, slots: 2, columns: 320}
resources: {cpus: 1, time: "10"}
"""
_PATIENCE = 300  # seconds that any step may take on a busy machine


@dataclass
class Project:
    """A folder with a spec, and the environment that its commands have."""

    path: Path
    prepared: Prepared
    environment: Mapping[str, str] = field(default_factory=dict)

    def titrate(self, *arguments: str, folder: Path | None = None) -> tuple[int, str]:
        """Run a verb; its exit status and all that it has printed."""
        own = {"XDG_STATE_HOME": str(self.path / "home"), "COLUMNS": "160"}
        done = self.prepared.run(
            folder or self.path,
            *arguments,
            program="titrate",
            environment={**self.environment, **own},
        )
        return done.status, done.output

    def submitted(self, *arguments: str) -> str:
        """Submit a run, which must work; its id."""
        status, told = self.titrate("submit", *arguments)
        assert status == 0, told
        return told.split("run ", 1)[1].partition(":")[0]

    def status(self, run: str, folder: Path | None = None) -> dict[str, Any]:
        """What is said of a run to other programs, by the command."""
        status, told = self.titrate("status", run, "--json", folder=folder)
        assert status == 0, told
        return json.loads(told)

    def look(self, run: str) -> dict[str, Any]:
        """The same in this process, which takes no start."""
        with patch.dict(os.environ, self.environment):
            now = status(Submission.read(self.path / ".titrate" / "runs" / run))
        return json.loads(json.dumps(described(now)))

    def await_(self, run: str, happened: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Look at a run until something has happened."""
        until = time.monotonic() + _PATIENCE
        while not happened(said := self.look(run)):
            assert time.monotonic() < until, said
            time.sleep(0.2)
        return said

    def processes(self, run: str) -> list[psutil.Process]:
        """The Pythons that work on a run, the launcher not among them."""
        folder = str(self.path / ".titrate" / "runs" / run)
        found = []
        for process in psutil.process_iter(["cmdline"]):
            line = process.info["cmdline"] or []
            works = folder in " ".join(line) and "submitit.core._submit" in line
            if works and Path(line[0]).name.startswith("python"):
                found.append(process)
        return found

    def stored(self) -> int:
        """How many records lie in the store."""
        files = (self.path / ".titrate" / "store").glob("completions-*.jsonl")
        return sum(file.read_bytes().count(b"\n") for file in files)

    def await_outcome(self, run: str, task: str) -> psutil.Process:
        """The process of a task, as soon as it has noted that it works on it."""
        file = self.path / ".titrate" / "runs" / run / f"task-{task}.json"
        until = time.monotonic() + _PATIENCE
        while not file.exists():
            assert time.monotonic() < until
            time.sleep(0.01)
        return psutil.Process(json.loads(file.read_text())["pid"])

    def worked_on(self, run: str, process: psutil.Process) -> bool:
        """Whether a process has noted that it works on a task."""
        files = (self.path / ".titrate" / "runs" / run).glob("task-*.json")
        return any(json.loads(file.read_text())["pid"] == process.pid for file in files)

    def samples(self, report: str) -> bytes:
        """The samples of a report."""
        return (self.path / report / "samples.jsonl").read_bytes()

    def told(self, report: str) -> dict[str, Any]:
        """What a report claims, and has measured: without times, and where and by whom."""
        document = json.loads((self.path / report / "report.json").read_text())
        for case in document["cases"]:
            case.pop("seconds")
        return {name: document[name] for name in ("cases", "gates", "invariants", "unjudged")}


def states(said: Mapping[str, Any]) -> dict[str, str]:
    """The state of every task."""
    return {task["name"]: task["state"] for task in said["tasks"]}


def kill_later(process: psutil.Process, number: int, happened: Callable[[], bool]) -> None:
    """Send a signal as soon as something has happened."""
    until = time.monotonic() + _PATIENCE
    while not happened():
        assert time.monotonic() < until
        assert process.is_running()
        time.sleep(0.01)
    os.kill(process.pid, number)
