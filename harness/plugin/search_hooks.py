"""Searches as tests: pytest's hooks for benches that carry `@searches(...)`, and for spec files.

Registered by the plugin, so nothing here imports Optuna or torch before a search is collected.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.errors import TitrateError
from harness.plugin import invocation
from harness.testing import SEARCHES_MARKER

if TYPE_CHECKING:
    from harness.search.conclusion import Searched

_DONE: pytest.StashKey[list[Searched]] = pytest.StashKey()


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker of `harness.testing.searches`."""
    config.addinivalue_line(
        "markers", f"{SEARCHES_MARKER}(patterns): run once per matching spec with a search"
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrise benches that carry `@searches(...)`."""
    marker = metafunc.definition.get_closest_marker(SEARCHES_MARKER)
    if marker is None:
        return
    root = invocation.spec_root(metafunc.config)
    found: dict[Path, None] = {}
    for pattern in marker.args[0]:
        files = sorted(root.glob(pattern))
        if not files:
            raise pytest.Collector.CollectError(f"no spec file matches {root / pattern}")
        found.update(dict.fromkeys(files))
    params = [_param(metafunc.config, file) for file in found if has_search(metafunc.config, file)]
    metafunc.parametrize("search_spec", params)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(session: pytest.Session, items: list[pytest.Item]) -> None:
    """Check the searches that are left after deselection."""
    searches = {item: file for item in items if (file := _searched_file(item)) is not None}
    problems = {
        item: problem
        for item, file in searches.items()
        if (problem := _problem(session.config, file)) is not None
    }
    invocation.leave_out(session, problems)


class SearchItem(pytest.Item):
    """A search of a spec file that the command line names."""

    def runtest(self) -> None:
        """Run the search."""
        run(self.config, self.path)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Where the search comes from; pytest asks for a line where one is skipped."""
        return self.path, 0, self.name


def collect(parent: pytest.File) -> Iterator[pytest.Item]:
    """The item of a spec file with a search; nothing for any other spec."""
    if has_search(parent.config, parent.path):
        param = _param(parent.config, parent.path)
        item = SearchItem.from_parent(parent, name=param.id)
        for mark in param.marks:
            item.add_marker(mark)
        yield item


@pytest.fixture
def searched(search_spec: Path, pytestconfig: pytest.Config) -> Searched:
    """What the bench's search came to; the bench fails when an identity is violated."""
    return run(pytestconfig, search_spec)


def has_search(config: pytest.Config, file: Path) -> bool:
    """Whether a spec is to be searched; raises `CollectError` for one that cannot be read."""
    found = invocation.loaded(config, file)
    return found is not None and found.experiment.search is not None


def run(config: pytest.Config, file: Path) -> Searched:
    """Run a search for a test, which fails by what its report must not say."""
    from harness.search.line import SearchLine
    from harness.search.run import search

    line = SearchLine(sys.__stderr__ or sys.stderr, exposed=lambda: _exposed(config))
    try:
        found = search(
            file,
            invocation.overrides(config),
            _report(config, file),
            root=config.rootpath,
            command=invocation.command(config),
            store=invocation.store_directory(config),
            unsafe_code=config.option.titrate_unsafe_code,
            line=line,
        )
    except TitrateError as error:
        pytest.fail(str(error), pytrace=False)
    config.stash.setdefault(_DONE, []).append(found)
    if found.problems:
        pytest.fail("\n".join(found.problems), pytrace=False)
    return found


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """End with what every search came to."""
    for found in config.stash.get(_DONE, []):
        from harness.report.page_link import has_links
        from harness.search.summary import summary

        terminalreporter.section("titrate search")
        link = has_links(terminal=bool(terminalreporter.isatty))
        terminalreporter.write_line(summary(found, link=link))


def _searched_file(item: pytest.Item) -> Path | None:
    """The spec that an item searches; None for other tests, and for skips."""
    if item.get_closest_marker("skip") is not None:
        return None
    if isinstance(item, SearchItem):
        return item.path
    callspec = getattr(item, "callspec", None)
    if callspec is None or item.get_closest_marker(SEARCHES_MARKER) is None:
        return None
    file: Path = callspec.params["search_spec"]
    return file


def _problem(config: pytest.Config, file: Path) -> invocation.Refusal | None:
    """What is wrong with a search, short of its model's weights; None for one that can begin."""
    from harness.search.setup import read_search, set_up
    from harness.search.study import quiet

    name = file.stem
    try:
        with quiet():
            experiment, source = read_search(file, invocation.overrides(config))
            name = experiment.name
            unsafe = config.option.titrate_unsafe_code
            set_up(experiment, source, config.rootpath, unsafe_code=unsafe)
    except TitrateError as error:
        return invocation.Refusal(name, str(error))
    return None


def _param(config: pytest.Config, file: Path) -> Any:
    """A search as a pytest param, skipped by name where it cannot run."""
    from harness.search import check_installed

    try:
        check_installed()
    except TitrateError as error:  # an extra: without it all other benches run as ever
        return pytest.param(file, id=file.stem, marks=pytest.mark.skip(reason=str(error)))
    from harness.runs.requirements import unmet

    found = invocation.loaded(config, file)
    assert found is not None  # it has a search
    reason, name = unmet(found.experiment), found.experiment.name
    skip = [] if reason is None else [pytest.mark.skip(reason=f"{name} {reason}")]
    return pytest.param(file, id=name, marks=[*skip, *found.marks])


def _report(config: pytest.Config, file: Path) -> Path:
    """Where a search's report goes: beside the report of the cases of the same run."""
    from harness.report.write import default_directory

    here = config.invocation_params.dir
    given = config.option.titrate_report
    usual = default_directory(here, datetime.now(UTC)) if given is None else here / given
    return usual.with_name(f"{usual.name}-{file.stem}")


def _exposed(config: pytest.Config) -> AbstractContextManager[None]:
    capture = config.pluginmanager.get_plugin("capturemanager")
    return nullcontext() if capture is None else capture.global_and_fixture_disabled()
