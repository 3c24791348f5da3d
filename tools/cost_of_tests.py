"""What tests cost: CPU seconds of each folder, file and test, with all processes that they start.

    python -m pytest -p tools.cost_of_tests [-n 2 --dist loadfile] [--dearest 40]

CPU time hardly depends on what else the machine does, where the durations of `--durations` double.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator
from pathlib import PurePosixPath

import psutil
import pytest

CPU = "cpu_seconds"


def pytest_addoption(parser: pytest.Parser) -> None:
    """How many tests and files are listed."""
    parser.addoption("--dearest", type=int, default=40, help="how many tests and files to list")


def pytest_configure(config: pytest.Config) -> None:
    """Count from here on, in this process or in this worker of pytest-xdist."""
    config.pluginmanager.register(_Cost(int(config.getoption("--dearest"))))


def spent() -> float:
    """CPU seconds of this process and all that it started, those that have ended included."""
    total = 0.0
    me = psutil.Process()
    for process in (me, *me.children(recursive=True)):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


class _Cost:
    def __init__(self, dearest: int) -> None:
        self._dearest = dearest
        self._before = spent()
        self._of_tests = defaultdict[str, float](float)

    def pytest_collection_finish(self) -> None:
        """What was imported until now is no test's."""
        self._before = spent()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self,
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Note what was spent since the report before: on a set-up, a test or a tear-down."""
        report = yield
        now = spent()
        report.user_properties.append((CPU, now - self._before))
        self._before = now
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add it up, also of what a worker has sent."""
        self._of_tests[report.nodeid] += dict(report.user_properties).get(CPU, 0)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Sums of folders, then the dearest files and tests."""
        folders = defaultdict[str, float](float)
        files = defaultdict[str, float](float)
        for test, seconds in self._of_tests.items():
            file = test.partition("::")[0]
            folders["/".join(PurePosixPath(file).parts[:2])] += seconds
            files[file] += seconds
        for title, costs in (
            ("CPU seconds of folders", folders),
            ("of files", dict(_largest(files)[: self._dearest])),
            ("of tests", dict(_largest(self._of_tests)[: self._dearest])),
        ):
            terminalreporter.section(title)
            for name, seconds in _largest(costs):
                terminalreporter.line(f"{seconds:8.1f}  {name}")
        terminalreporter.line(f"{sum(folders.values()):8.1f}  all tests")


def _largest(costs: dict[str, float]) -> list[tuple[str, float]]:
    return sorted(costs.items(), key=lambda item: -item[1])
