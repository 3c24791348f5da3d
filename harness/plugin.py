"""The pytest plugin: options, collection of specs, the two fixtures, the summary. Nothing else.

Loaded in every environment that has the package, so it imports neither torch nor anything that
does; a run's machinery is imported when the first spec is collected.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness import invocation
from harness.errors import TitrateError
from harness.search import hooks as searching
from harness.testing import INVARIANTS_MARKER, MARKER
from harness.workers import hooks

if TYPE_CHECKING:
    from harness.invariants import Check
    from harness.runs.plan import PlannedCase
    from harness.runs.results import CaseResult, InvariantResult
    from harness.session import Session

_SESSION: pytest.StashKey[Session] = pytest.StashKey()
_WHOLE: pytest.StashKey[tuple[dict[str, Any], Sequence[PlannedCase]]] = pytest.StashKey()
_FORECAST: pytest.StashKey[str] = pytest.StashKey()
_CASE: pytest.StashKey[PlannedCase] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Options carry the prefix --titrate-. What concerns workers has hooks of its own."""
    pluginmanager.register(hooks, "titrate-workers")
    pluginmanager.register(searching, "titrate-search")
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
        "--titrate-store",
        metavar="DIR",
        type=Path,
        help="keep completions here (default: .titrate/store below the root directory)",
    )
    group.addoption(
        "--titrate-fresh",
        action="store_true",
        help="make all completions again instead of using stored ones",
    )
    group.addoption(
        "--titrate-plan",
        action="store_true",
        help="say what would be run, how much of it is stored, and run nothing",
    )
    group.addoption(
        "--titrate-shard",
        metavar="I/N",
        help="run the I-th of N equal shares of the cases; titrate merge joins their reports",
    )
    group.addoption(
        "--titrate-unsafe-code",
        action="store_true",
        help="where code that a model wrote cannot be isolated, run it with your own rights",
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
    config.addinivalue_line(
        "markers", f"{INVARIANTS_MARKER}: run once per identity, model and engine"
    )
    try:
        invocation.shard(config)
    except TitrateError as error:
        raise pytest.UsageError(str(error)) from error


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrise benches that carry `@experiments(...)`."""
    marker = metafunc.definition.get_closest_marker(MARKER)
    if marker is not None:
        files = _matching_specs(metafunc.config, *marker.args)
        cases = [case for file in files for case in _cases(metafunc.config, file)]
        metafunc.parametrize("case", cases)
    if metafunc.definition.get_closest_marker(INVARIANTS_MARKER) is not None:
        metafunc.parametrize("check", _checks(metafunc.config))


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect a spec file that the command line names, by itself or by a folder of specs."""
    if file_path.suffix not in {".yaml", ".yml"} or not _is_named(parent.config, file_path):
        return None
    return SpecFile.from_parent(parent, path=file_path)


class SpecFile(pytest.File):
    """A spec file as a collector of its cases."""

    def collect(self) -> Iterator[pytest.Item]:
        """One item per case, or the one of a search."""
        yield from searching.collect(self)
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


@pytest.fixture
def finding(check: Check, request: pytest.FixtureRequest) -> InvariantResult:
    """What came of the bench's identity; the bench fails when it is violated."""
    config = request.config
    try:
        return _session(config).check(check)
    except TitrateError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> None:
    """Before a bench's own claims: is there a result, and may it be believed?"""
    found: InvariantResult | None = pyfuncitem.funcargs.get("finding")  # type: ignore[assignment]
    if found is not None and pyfuncitem.get_closest_marker(INVARIANTS_MARKER) is not None:
        if not found.holds:
            pytest.fail(f"{found.name} is violated by {found.case}: {found.detail}", pytrace=False)
        return
    if "outcome" in pyfuncitem.funcargs and pyfuncitem.get_closest_marker(MARKER) is not None:
        case: PlannedCase = pyfuncitem.funcargs["case"]  # type: ignore[assignment]
        _fail_unless_trusted(pyfuncitem.config, case)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(
    session: pytest.Session, config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Leave the cases of other shards out, after everything else that deselects."""
    shard = invocation.shard(config)
    cases = {item: case for item in items if (case := _case_of(item)) is not None}
    if shard is None or not cases:
        return
    whole = list(cases.values())
    config.stash[_WHOLE] = shard.description(each.case for each in whole), whole
    try:
        own = {case.id for case in shard.own(whole)}
    except TitrateError as error:
        hooks.refuse(session, str(error))
        return
    others = [item for item, case in cases.items() if case.id not in own]
    config.hook.pytest_deselected(items=others)
    left_out = set(others)
    items[:] = [item for item in items if item not in left_out]


# Before pytest-xdist, which tells the controller what was collected.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Plan what is left after deselection."""
    config = session.config
    if config.option.collectonly:
        return
    cases = [
        replace(case, nodeid=item.nodeid)
        for item in session.items
        if (case := _case_of(item)) is not None
    ]
    checked = any(item.get_closest_marker(INVARIANTS_MARKER) for item in session.items)
    if not cases and not checked:
        return
    try:
        run = _opened(config)
        if run is None:
            return
        config.stash[_SESSION] = run
        run.shard, run.selection = config.stash.get(_WHOLE, (None, ()))
        if config.option.titrate_plan:
            from harness.reporting.forecast import forecast_table
            from harness.runs.forecast import forecast

            run.plan(cases)
            config.stash[_FORECAST] = forecast_table(forecast(cases, run.store))
        elif hasattr(config, "workerinput"):
            from harness.workers.worker import plan_parts

            plan_parts(config.workerinput, run, cases)
        else:
            run.plan(cases)
            run.report = invocation.report_directory(config, run.started, run.progress)
    except TitrateError as error:
        hooks.refuse(session, str(error))


def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Print the plan instead of running anything, when that is what was asked for."""
    if not session.config.option.titrate_plan or session.config.option.collectonly:
        return None
    shown = session.config.stash.get(_FORECAST, "titrate: no case is selected")
    session.config.get_terminal_writer().line(f"\n{shown}")
    return True


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the report, also of a run that was interrupted; a worker's is its controller's."""
    run = session.config.stash.get(_SESSION, None)
    if run is None:
        return
    run.progress.close()
    try:
        if run.opened and not hasattr(session.config, "workerinput"):
            invocation.end(session, partial(_ended, run))
    finally:
        run.close()


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """End with a short table and the report's path."""
    if invocation.ENDED in config.stash:
        invocation.summarise(terminalreporter, config.stash[invocation.ENDED])


def _ended(run: Session) -> invocation.Ended:
    return invocation.Ended(run.finish(run.report), run.counts)


def _cases(config: pytest.Config, file: Path) -> list[Any]:
    """The cases of a spec file as pytest params; a spec that cannot be run fails its collection."""
    from harness.runs.plan import planned
    from harness.runs.requirements import unmet
    from harness.spec import expand, load

    try:
        params = []
        experiment, source = load(file, invocation.overrides(config))
        if experiment.search is not None:  # run as a search, not as cases (`harness.search`)
            return []
        for case in expand(experiment, source):
            reason = unmet(case.experiment)
            if reason is None:
                ready = planned(case, unsafe_code=config.option.titrate_unsafe_code)
                params.append(pytest.param(ready, id=case.id))
            else:
                skip = pytest.mark.skip(reason=f"{case.experiment.name} {reason}")
                params.append(pytest.param(case, id=case.id, marks=skip))
    except TitrateError as error:
        raise pytest.Collector.CollectError(str(error)) from None
    return params


def _checks(config: pytest.Config) -> list[Any]:
    """The identities as pytest params; those of a family that does not fit a model are skipped."""
    from harness.invariants import checks
    from harness.spec import engine_settings

    model = config.option.titrate_model
    try:
        found = checks(model, engine_settings(invocation.overrides(config)))
    except TitrateError as error:
        raise pytest.Collector.CollectError(str(error)) from None
    return [
        pytest.param(check, id=check.id)
        if check.excuse is None
        else pytest.param(
            check,
            id=check.id,
            marks=pytest.mark.skip(reason=f"{check.family.name}: {check.model}: {check.excuse}"),
        )
        for check in found
    ]


def _matching_specs(config: pytest.Config, patterns: tuple[str, ...]) -> list[Path]:
    root = invocation.spec_root(config)
    files: dict[Path, None] = {}
    for pattern in patterns:
        found = sorted(root.glob(pattern))
        if not found:
            raise pytest.Collector.CollectError(f"no spec file matches {root / pattern}")
        files.update(dict.fromkeys(found))
    return list(files)


def _is_named(config: pytest.Config, file: Path) -> bool:
    """Whether the command line asks for this file, by itself or by a folder inside the specs."""
    named = invocation.named_paths(config)
    root = invocation.spec_root(config)
    return any(
        file == name or (name in file.parents and name.is_relative_to(root)) for name in named
    )


def _case_of(item: pytest.Item) -> PlannedCase | None:
    """The planned case of a bench or of a spec file's item; None for other tests, and for skips."""
    if item.get_closest_marker("skip") is not None:
        return None
    if isinstance(item, SpecItem):
        return item.stash[_CASE]
    callspec = getattr(item, "callspec", None)
    if callspec is None or item.get_closest_marker(MARKER) is None:
        return None
    case: PlannedCase = callspec.params["case"]
    return case


def _opened(config: pytest.Config) -> Session | None:
    """The session of this process; None for a worker whose controller knows of no benches."""
    from harness.session import opened_session
    from harness.workers.worker import open_worker

    store, fresh = invocation.store_directory(config), config.option.titrate_fresh
    if hasattr(config, "workerinput"):
        return open_worker(
            config.workerinput,
            config.rootpath,
            store=store,
            fresh=fresh,
            claims=invocation.claims(config),
        )
    line = invocation.live_line(config)
    command = invocation.command(config)
    claims = invocation.claims(config)
    return opened_session(config.rootpath, command, line, store=store, fresh=fresh, claims=claims)


def _session(config: pytest.Config) -> Session:
    """This process's session; a worker has none where its controller knew of no benches."""
    if _SESSION not in config.stash:
        reason = (
            "no bench was found on the command line; name the file that imports harness.testing"
        )
        pytest.fail(reason, pytrace=False)
    return config.stash[_SESSION]


def _outcome(config: pytest.Config, case: PlannedCase) -> CaseResult:
    """Run what the case needs; without a model to run it on, this is an error of one line."""
    run = _session(config)
    died = run.abandoned().get(case.id)
    if died is not None:  # over another test of the same case
        pytest.skip(f"{died}; run the same command again")
    try:
        return run.outcome(case)
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
