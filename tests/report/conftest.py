"""Fixtures of the reporting tests; what they are made of is in `small_run`.

One browser serves all tests of the page; without one on the machine they skip, by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from harness.report.page import embed, page
from harness.report.report import RunReport
from harness.report.written_samples import records
from harness.store.results import CaseResult
from tests.report.chromium import Browser, program

Show = Callable[..., Browser]


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
        report: RunReport, samples: Iterable[CaseResult | Mapping[str, Any]], fragment: str = ""
    ) -> Browser:
        file = tmp_path / "index.html"
        lines = [
            line
            for each in samples
            for line in (records([each]) if isinstance(each, CaseResult) else [each])
        ]
        file.write_text("".join(page(report, embed(report.cases, lines))), "utf-8", "replace")
        browser.open(file, fragment)
        return browser

    browser.size(1280, 900)
    browser.prefer("light")
    yield open_page
    assert browser.complaints == []
