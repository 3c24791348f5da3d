"""The pytest plugin: options, collection of specs, the two fixtures, the summary. Nothing else.

Loaded in every environment that has the package, so it imports neither torch nor anything that
does; a run's machinery is imported when the first spec is collected.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.errors import TitrateError
from harness.testing import MARKER

if TYPE_CHECKING:
    from harness.runs.plan import PlannedCase
    from harness.runs.results import CaseResult
    from harness.session import Finished, Session

_SESSION: pytest.StashKey[Session] = pytest.StashKey()
_FINISHED: pytest.StashKey[Finished] = pytest.StashKey()
_DIRECTORY: pytest.StashKey[Path] = pytest.StashKey()
_CASE: pytest.StashKey[PlannedCase] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options carry the prefix --titrate-."""
    group = parser.getgroup("titrate", "dose-response benches (titrate)")
    group.addoption(
        "--titrate-report",
        metavar="DIR",
        type=Path,
        help="write the report here (default: a new folder below reports/)",
    )
    group.addoption(
        "--titrate-set",
        metavar="FIELD=VALUE",
        action="append",
        default=[],
        help="override a field of every spec, e.g. task.name=humaneval; may be repeated",
    )
    group.addoption(
        "--titrate-limit",
        metavar="N",
        type=int,
        help="use only the first N samples of every task (task.limit)",
    )
    group.addoption(
        "--titrate-model",
        metavar="MODEL",
        help="run every spec on this model instead of its own",
    )
    group.addoption(
        "--titrate-gate",
        metavar="CLAIM",
        action="append",
        default=[],
        help="fail unless this holds of what was selected, e.g. 'pass@1 >= 0.9 where count=0' or "
        "'monotone falling within CI'; may be repeated",
    )
    group.addoption(
        "--titrate-save",
        metavar="NAME",
        help="keep this run in .titrate/saved under the next number and this name",
    )
    group.addoption(
        "--titrate-compare",
        metavar="NAME",
        help="compare with the saved run of this name or number, a file, or a report's directory",
    )
    group.addoption(
        "--titrate-compare-fail",
        metavar="RULE",
        action="append",
        default=[],
        help="with --titrate-compare: fail on this finding, e.g. 'pass@1: worse, p<0.05'; may be "
        "repeated",
    )
    parser.addini("titrate_specs", "folder of spec files", type="paths", default=None)


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker of `harness.testing.experiments`."""
    config.addinivalue_line(
        "markers", f"{MARKER}(patterns): run once per case of the matching spec files"
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrise benches that carry `@experiments(...)`."""
    marker = metafunc.definition.get_closest_marker(MARKER)
    if marker is not None:
        files = _matching_specs(metafunc.config, *marker.args)
        cases = [case for file in files for case in _cases(metafunc.config, file)]
        metafunc.parametrize("case", cases)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect a spec file that the command line names, by itself or by a folder of specs."""
    if file_path.suffix not in {".yaml", ".yml"} or not _is_named(parent.config, file_path):
        return None
    return SpecFile.from_parent(parent, path=file_path)


class SpecFile(pytest.File):
    """A spec file as a collector of its cases."""

    def collect(self) -> Iterator[pytest.Item]:
        """One item per case."""
        for param in _cases(self.config, self.path):
            item = SpecItem.from_parent(self, name=param.id)
            item.stash[_CASE] = param.values[0]
            for mark in param.marks:
                item.add_marker(mark)
            yield item


class SpecItem(pytest.Item):
    """One case of a spec file without a bench function of its own."""

    def runtest(self) -> None:
        """Run the case."""
        _outcome(self.config, self.stash[_CASE])
        _fail_unless_trusted(self.config, self.stash[_CASE])

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Where the case comes from."""
        return self.path, None, self.name


@pytest.fixture
def outcome(case: PlannedCase, pytestconfig: pytest.Config) -> CaseResult:
    """The result of the bench's case; the bench fails when the case did or an invariant broke."""
    return _outcome(pytestconfig, case)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> None:
    """Before a bench's own claims: is there a result, and may it be believed?"""
    if "outcome" in pyfuncitem.funcargs and pyfuncitem.get_closest_marker(MARKER) is not None:
        case: PlannedCase = pyfuncitem.funcargs["case"]  # type: ignore[assignment]
        _fail_unless_trusted(pyfuncitem.config, case)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Plan what is left after deselection."""
    if session.config.option.collectonly or hasattr(session.config, "workerinput"):
        return
    cases = []
    for item in session.items:
        case = _case_of(item)
        if case is not None and item.get_closest_marker("skip") is None:
            cases.append(replace(case, nodeid=item.nodeid))
    if cases:
        try:
            run = _new_session(session.config)
            run.plan(cases)
            session.config.stash[_DIRECTORY] = _report_directory(session.config, run)
        except TitrateError as error:
            raise pytest.UsageError(str(error)) from error


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the report, also of a run that was interrupted."""
    run = session.config.stash.get(_SESSION, None)
    if run is None or not run.loads:
        return
    run.progress.close()
    try:
        finished = run.finish(session.config.stash[_DIRECTORY])
    except TitrateError as error:
        session.config.get_terminal_writer().line(f"\ntitrate: {error}", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        return
    finally:
        run.close()
    session.config.stash[_FINISHED] = finished
    if finished.problems and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """End with a short table and the report's path."""
    finished = config.stash.get(_FINISHED, None)
    if finished is None:
        return
    from harness.reporting import table

    run = config.stash[_SESSION]
    terminalreporter.section("titrate")
    terminalreporter.write_line(table(finished.report))
    if finished.compared:
        terminalreporter.write_line(finished.compared)
    for problem in finished.problems:
        terminalreporter.write_line(problem, red=True)
    loads = f"{run.loads} model load{'s' if run.loads != 1 else ''}"
    speed = run.counts.tokens / max(run.seconds, 1e-9)
    terminalreporter.write_line(
        f"{loads}; {run.counts.requests_done:,} requests, {run.counts.tokens:,} tokens "
        f"in {run.seconds:.1f} s ({speed:,.0f} tokens/s)"
    )
    terminalreporter.write_line(f"report: {_shown(finished.directory)}")
    if finished.kept is not None:
        terminalreporter.write_line(f"saved: {_shown(finished.kept)}")


def _cases(config: pytest.Config, file: Path) -> list[Any]:
    """The cases of a spec file as pytest params; a spec that cannot be run fails its collection."""
    from harness.runs.plan import planned
    from harness.runs.requirements import unmet
    from harness.spec import expand, load

    try:
        params = []
        for case in expand(*load(file, _overrides(config))):
            reason = unmet(case.experiment)
            if reason is None:
                params.append(pytest.param(planned(case), id=case.id))
            else:
                skip = pytest.mark.skip(reason=f"{case.experiment.name} {reason}")
                params.append(pytest.param(case, id=case.id, marks=skip))
    except TitrateError as error:
        raise pytest.Collector.CollectError(str(error)) from None
    return params


def _overrides(config: pytest.Config) -> list[str]:
    """All overrides of the command line in the form of --titrate-set."""
    overrides = list(config.option.titrate_set)
    if config.option.titrate_limit is not None:
        overrides.append(f"task.limit={config.option.titrate_limit}")
    if config.option.titrate_model is not None:
        overrides.append(f"model={config.option.titrate_model}")
    return overrides


def _matching_specs(config: pytest.Config, patterns: tuple[str, ...]) -> list[Path]:
    root = _spec_root(config)
    files: dict[Path, None] = {}
    for pattern in patterns:
        found = sorted(root.glob(pattern))
        if not found:
            raise pytest.Collector.CollectError(f"no spec file matches {root / pattern}")
        files.update(dict.fromkeys(found))
    return list(files)


def _spec_root(config: pytest.Config) -> Path:
    configured = config.getini("titrate_specs")
    return Path(configured[0]) if configured else config.rootpath / "specs"


def _is_named(config: pytest.Config, file: Path) -> bool:
    """Whether the command line asks for this file, by itself or by a folder inside the specs."""
    named = [
        Path(config.invocation_params.dir, argument.split("::")[0]) for argument in config.args
    ]
    root = _spec_root(config)
    return any(
        file == name or (name in file.parents and name.is_relative_to(root)) for name in named
    )


def _case_of(item: pytest.Item) -> PlannedCase | None:
    """The planned case of a bench or of a spec file's item; None for other tests."""
    if isinstance(item, SpecItem):
        return item.stash[_CASE]
    callspec = getattr(item, "callspec", None)
    if callspec is None or item.get_closest_marker(MARKER) is None:
        return None
    case: PlannedCase = callspec.params["case"]
    return case


def _new_session(config: pytest.Config) -> Session:
    from harness.live_line import LiveLine
    from harness.reporting import SavedRuns
    from harness.reporting.comparing import SAVED, Comparing
    from harness.session import Session

    reporter = config.pluginmanager.get_plugin("terminalreporter")
    capture = config.pluginmanager.get_plugin("capturemanager")

    def exposed() -> AbstractContextManager[None]:
        return nullcontext() if capture is None else capture.global_and_fixture_disabled()

    def end_line() -> None:
        if reporter is not None:
            reporter.ensure_newline()

    command = shlex.join([Path(sys.argv[0]).name, *config.invocation_params.args])
    option = config.option
    config.stash[_SESSION] = Session(
        command=command,
        progress=LiveLine(sys.__stderr__ or sys.stderr, exposed, end_line),
        gates=option.titrate_gate,
        saved=SavedRuns(config.rootpath / SAVED),
        comparing=Comparing(
            option.titrate_compare, option.titrate_compare_fail, option.titrate_save
        ),
    )
    return config.stash[_SESSION]


def _report_directory(config: pytest.Config, run: Session) -> Path:
    """Where the report will go, found to be writable before anything runs."""
    from harness.reporting import check_writable
    from harness.session import default_directory

    here = config.invocation_params.dir
    given = config.option.titrate_report
    directory = default_directory(here, run.started) if given is None else here / given
    check_writable(directory)
    return directory


def _outcome(config: pytest.Config, case: PlannedCase) -> CaseResult:
    """Run what the case needs; without a model to run it on, this is an error of one line."""
    if hasattr(config, "workerinput"):
        reason = "titrate benches do not run under pytest-xdist yet; leave out -n"
        pytest.fail(reason, pytrace=False)
    try:
        return config.stash[_SESSION].outcome(case)
    except TitrateError as error:
        pytest.fail(str(error), pytrace=False)


def _fail_unless_trusted(config: pytest.Config, case: PlannedCase) -> None:
    """Fail the test of a case that failed, or whose result violates an invariant, in one line."""
    run = config.stash[_SESSION]
    result = run.outcome(case)
    if result.error is not None:
        pytest.fail(result.error, pytrace=False)
    for violated in run.violations(case):
        pytest.fail(f"{violated.name}: {violated.detail}", pytrace=False)


def _shown(path: Path) -> str:
    """A path relative to where the user stands, if it lies below."""
    absolute = path.absolute()
    here = Path.cwd()
    return str(absolute.relative_to(here) if absolute.is_relative_to(here) else absolute)
