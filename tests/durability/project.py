"""The sweep that is disturbed, and all of its report that must not depend on it."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.store.records import read_records
from harness.store.results import CaseResult

# Strict: resumed requests run in other batches, where a fast engine may break a tie differently.
SPEC = """\
name: small
model: zoo/moe
task: {name: micro_humaneval, limit: 3}
intervention: {kind: router_mask, points: {random: 0}, count: 0}
sampling: {max_new_tokens: 10}
engine: {determinism: strict, slots: 3, columns: 224}
axes:
  intervention.count: [0, 30]
  prompt.style: [assisted, agentic]
dose: intervention.count
gates: [neutral_equals_baseline]
"""
BENCH = """\
from harness.testing import experiments

@experiments("*.yaml")
def bench_all(case, outcome):
    assert outcome.scored == case.task.size
"""
CASES = 6  # four, and two baselines
REQUESTS = 18


def make_project(folder: Path, spec: str = SPEC) -> Path:
    (folder / "pyproject.toml").write_text(
        '[tool.pytest]\npython_files = ["bench_*.py"]\npython_functions = ["bench_*"]\n'
    )
    for name in ("specs", "benches"):
        (folder / name).mkdir(exist_ok=True)
    (folder / "specs" / "small.yaml").write_text(spec)
    (folder / "benches" / "bench_all.py").write_text(BENCH)
    return folder


def size(folder: Path) -> int:
    """Bytes of completions and case records below a project's folder."""
    total = 0
    for pattern in (".titrate/store/*.jsonl", ".titrate/runs/*/cases-*.jsonl"):
        total += sum(path.stat().st_size for path in folder.glob(pattern))
    return total


def grown(folder: Path, written: float) -> Callable[[], bool]:
    """Whether a run in a project's folder has written so many bytes."""
    return lambda: size(folder) >= written


@dataclass
class Reported:
    """A report without times, ids and the command: equal for equal measurements."""

    report: dict[str, Any]
    samples: str
    rows: list[dict[str, str]]
    records: list[CaseResult]

    @classmethod
    def of(cls, directory: Path) -> Reported:
        report = json.loads((directory / "report.json").read_text())
        for name in ("id", "started", "finished", "command", "git", "cost"):
            del report["run"][name]
        for case in report["cases"]:
            del case["seconds"]
        with (directory / "cases.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        for row in rows:
            del row["seconds"]
        records = read_records(directory / "records.jsonl")
        return cls(
            report,
            (directory / "samples.jsonl").read_text(),
            rows,
            [replace(result, seconds=0.0, case=_placeless(result.case)) for result in records],
        )


def _placeless(case: Any) -> Any:
    """Without the folder that the spec lies in, which differs between the projects of tests."""
    baseline = None if case.baseline is None else _placeless(case.baseline)
    return replace(case, source=replace(case.source, origins=()), baseline=baseline)
