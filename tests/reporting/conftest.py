"""Fixtures of the reporting tests; what they are made of is in `small_run`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from harness.reporting import Report, RunInfo, build
from harness.runs.results import CaseResult

from .small_run import sweep


@pytest.fixture(scope="session")
def run() -> RunInfo:
    return RunInfo(
        id="20260101-120000-abcd",
        started=datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=UTC),
        finished=datetime(2026, 1, 1, 12, 5, 0, tzinfo=UTC),
        command="pytest benches -k keep_topk",
        versions={"torch": "2.8.0"},
        hardware={"cpu": "x86", "gpus": [], "memory_gib": 16.5},
        determinism={"dtype": "float32"},
    )


@pytest.fixture
def results() -> list[CaseResult]:
    return sweep()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "report"


@pytest.fixture
def report(run: RunInfo, results: list[CaseResult]) -> Report:
    return build(run, results)
