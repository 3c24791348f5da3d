"""Fixtures of the reporting tests; what they are made of is in `small_run`.

One browser serves all tests of the page; without one on the machine they skip, by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from harness.reporting import Report, RunInfo, build
from harness.reporting.page import page
from harness.reporting.write import records
from harness.runs.results import CaseResult

from .chromium import Browser, program
from .small_run import sweep

Show = Callable[..., Browser]


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


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if program() is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture
def show(browser: Browser, tmp_path: Path) -> Iterator[Show]:
    """Open the page of a report; the test fails if the page complained of anything."""

    def open_page(
        report: Report, samples: Iterable[CaseResult | Mapping[str, Any]], fragment: str = ""
    ) -> Browser:
        file = tmp_path / "index.html"
        lines = [
            line
            for each in samples
            for line in (records([each]) if isinstance(each, CaseResult) else [each])
        ]
        file.write_text(page(report, lines), "utf-8", "replace")
        browser.open(file, fragment)
        return browser

    browser.size(1280, 900)
    browser.prefer("light")
    yield open_page
    assert browser.complaints == []
