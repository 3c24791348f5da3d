"""Real pytest in processes of its own on a small sweep: started, watched, killed, and read."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.prepared import inherited

# Strict: what a request is batched with, and so who is killed when, can change no token.
SPEC = """\
name: small
model: zoo/moe
task: {name: micro_humaneval, limit: 5}
intervention:
  kind: router_mask
  points: {usage: avg_last_agentic, samples: 2}
  count: 0
sampling: {max_new_tokens: 24}
engine: {determinism: strict, slots: 4, columns: 256}
axes:
  intervention.count: [0, 4, 16, 30]
  prompt.style: [assisted, agentic]
dose: intervention.count
gates: [neutral_equals_baseline]
"""
REQUESTS = 5 * (4 + 1) * 2
BENCH = """\
from harness.testing import experiments

@experiments("*.yaml")
def bench_all(case, outcome):
    assert outcome.scored == case.task.size
"""
# Says in which processes torch was imported, and what each of them could see.
CONFTEST = """\
import os, pathlib, sys

def pytest_unconfigure(config):
    process = os.environ.get("PYTEST_XDIST_WORKER", "controller")
    seen = f"{'torch' in sys.modules} {os.environ.get('CUDA_VISIBLE_DEVICES')}"
    pathlib.Path(config.rootpath, f"{process}.txt").write_text(seen)
"""
PROJECT = """\
[tool.pytest]
python_files = ["bench_*.py", "test_*.py"]
python_functions = ["bench_*", "test_*"]
"""
_PATIENCE = 300  # seconds that any step may take on a busy machine before the test gives up


@dataclass
class Project:
    """A user's project, in which runs are started."""

    path: Path

    @classmethod
    def made(cls, path: Path) -> Project:
        for name, text in {
            "specs/small.yaml": SPEC,
            "benches/bench_all.py": BENCH,
            "conftest.py": CONFTEST,
            "pyproject.toml": PROJECT,
        }.items():
            file = path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return cls(path)

    def run(
        self, *arguments: str, limit: int | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run pytest to its end."""
        with self.started(*arguments, limit=limit, **environment) as process:
            output, _ = process.communicate(timeout=_PATIENCE)
        return subprocess.CompletedProcess(process.args, process.returncode, output)

    @contextmanager
    def started(
        self,
        *arguments: str,
        output: int = subprocess.PIPE,
        limit: int | None = None,
        **environment: str,
    ) -> Iterator[subprocess.Popen[str]]:
        """Start pytest in a process group of its own; nothing of it is left in the end.

        `output` is the file that it writes to; no file that it or its workers make may exceed
        `limit` bytes.
        """
        bounds = () if limit is None else ("prlimit", f"--fsize={limit}")
        command = [*bounds, sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
        with subprocess.Popen(
            command,
            cwd=self.path,
            env=inherited() | environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as process:
            try:
                yield process
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)

    def stored(self) -> int:
        """Completions that any process has stored so far."""
        files = (self.path / ".titrate" / "store").glob("completions-*.jsonl")
        return sum(file.read_bytes().count(b'"kind":"completion"') for file in files)

    def report(self, directory: str) -> dict[str, Any]:
        return json.loads((self.path / directory / "report.json").read_text())


def wait_until(happened: Callable[[], object], process: subprocess.Popen[str]) -> bool:
    """Wait for something; False when the process has ended before it."""
    deadline = time.monotonic() + _PATIENCE
    while not happened():
        if process.poll() is not None:
            return False
        assert time.monotonic() < deadline, "nothing happens any more"
        time.sleep(0.002)
    return True


def measured(report: dict[str, Any]) -> dict[str, Any]:
    """All of a report that must not depend on how its run came about: no times, no run."""
    cases = [
        {key: value for key, value in case.items() if key != "seconds"} for case in report["cases"]
    ]
    return {"cases": cases, "invariants": report["invariants"], "gates": report["gates"]}


def statuses(report: dict[str, Any]) -> dict[str, str]:
    return {case["id"]: case["status"] for case in report["cases"]}
