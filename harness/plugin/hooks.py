"""The pytest plugin: its hooks, each of which decides by one call into the modules beside it.

Loaded in every environment that has the package, so it imports neither torch nor anything that
does; a run's machinery is imported when the first spec is collected.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.errors import TitrateError
from harness.files.project import project
from harness.options import add_to_pytest
from harness.plugin import fixtures, invocation, search_hooks, xdist_hooks
from harness.plugin.collection import (
    SpecFile,
    case_of,
    cases_of,
    check_of,
    checks_of,
    is_named,
    matching_specs,
    problems_of,
)
from harness.plugin.fixtures import SESSION, fail_unless_trusted
from harness.testing import INVARIANTS_MARKER, MARKER

if TYPE_CHECKING:
    from harness.runs.planned_case import PlannedCase
    from harness.runs.session import Session
    from harness.store.results import InvariantResult

_WHOLE: pytest.StashKey[tuple[dict[str, Any], Sequence[PlannedCase]]] = pytest.StashKey()
_FORECAST: pytest.StashKey[str] = pytest.StashKey()
_BEYOND: pytest.StashKey[bool] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Declare the options; what concerns workers has hooks of its own, and benches fixtures."""
    pluginmanager.register(xdist_hooks, "titrate-workers")
    pluginmanager.register(fixtures, "titrate-outcomes")
    pluginmanager.register(search_hooks, "titrate-search")
    add_to_pytest(parser.getgroup("titrate", "dose-response benches (titrate)"))
    parser.addini("titrate_specs", "folder of spec files", type="paths", default=None)


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker of `harness.testing.experiments`."""
    config.addinivalue_line(
        "markers", f"{MARKER}(patterns): run once per case of the matching spec files"
    )
    config.addinivalue_line(
        "markers", f"{INVARIANTS_MARKER}: run once per identity, model and engine"
    )
    config.addinivalue_line(
        "markers", f"{invocation.REFUSED_MARKER}(why): the chosen model cannot run it"
    )
    config.addinivalue_line(
        "markers", f"{invocation.MISTAKEN_MARKER}(why): the options do not fit its spec"
    )
    try:
        if not hasattr(config, "workerinput"):  # a worker has the options of its controller
            project(config.rootpath).fill(config.option, "titrate_")
        invocation.shard(config)
    except TitrateError as error:
        raise pytest.UsageError(str(error)) from error


def pytest_report_header(config: pytest.Config) -> str | None:
    """What the project's pyproject.toml says of every run."""
    said = str(project(config.rootpath))
    return f"titrate: {said}" if said else None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrise benches that carry `@experiments(...)`."""
    marker = metafunc.definition.get_closest_marker(MARKER)
    if marker is not None:
        files = matching_specs(metafunc.config, *marker.args)
        cases = [case for file in files for case in cases_of(metafunc.config, file)]
        metafunc.parametrize("case", cases)
    marker = metafunc.definition.get_closest_marker(INVARIANTS_MARKER)
    if marker is not None:
        metafunc.parametrize("check", checks_of(metafunc.config, *marker.args))


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect a spec file that the command line names, by itself or by a folder of specs."""
    if file_path.suffix not in {".yaml", ".yml"} or not is_named(parent.config, file_path):
        return None
    return SpecFile.from_parent(parent, path=file_path)


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
        fail_unless_trusted(pyfuncitem.config, case)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(
    session: pytest.Session, config: pytest.Config, items: list[pytest.Item]
) -> None:
    """After all that deselects: check what is left, and leave out what other shards run."""
    invocation.leave_out(session, invocation.mistaken(items), always=True)
    invocation.leave_out(session, problems_of(items))
    shard = invocation.shard(config)
    cases = {item: case for item in items if (case := case_of(item)) is not None}
    checks = {item: check for item in items if (check := check_of(item)) is not None}
    if shard is None or not (cases or checks):
        return
    whole, identities = list(cases.values()), [check.named for check in checks.values()]
    config.stash[_WHOLE] = shard.description((each.case for each in whole), identities), whole
    try:
        own, own_identities = shard.own(whole, identities)
    except TitrateError as error:
        xdist_hooks.refuse(session, str(error))
        return
    ids = {case.id for case in own}
    others = [item for item, case in cases.items() if case.id not in ids]
    others += [item for item, check in checks.items() if check.named not in own_identities]
    config.hook.pytest_deselected(items=others)
    left_out = set(others)
    items[:] = [item for item in items if item not in left_out]
    config.stash[_BEYOND] = not items


# Before pytest-xdist, which tells the controller what was collected.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Plan what is left after deselection."""
    config = session.config
    if config.option.collectonly:
        return
    if (refused := invocation.refusal(session.items)) is not None:
        xdist_hooks.refuse(session, refused)
        return
    cases = [
        replace(case, nodeid=item.nodeid)
        for item in session.items
        if (case := case_of(item)) is not None
    ]
    checked = any(check_of(item) is not None for item in session.items)
    if not cases and not checked:
        return
    try:
        run = _opened(config)
        if run is None:
            return
        config.stash[SESSION] = run
        run.shard, run.selection = config.stash.get(_WHOLE, (None, ()))
        if config.option.titrate_plan:
            from harness.runs.forecast import forecast
            from harness.runs.forecast_table import forecast_table

            run.plan(cases)
            config.stash[_FORECAST] = forecast_table(
                forecast(cases, run.store), speed=config.option.titrate_speed
            )
        elif hasattr(config, "workerinput"):
            from harness.launch.xdist.worker import plan_parts

            plan_parts(config.workerinput, run, cases)
        else:
            run.plan(cases)
            run.report = invocation.report_directory(config, run.started, run.progress)
            if not session.testsfailed:  # else nothing will be run
                run.begin()
    except TitrateError as error:
        xdist_hooks.refuse(session, str(error))


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
    run = session.config.stash.get(SESSION, None)
    if run is None:
        task = invocation.array_task(session.config)
        if task is not None and session.config.stash.get(_BEYOND, False):
            from harness.runs.merge import merge

            session.exitstatus = pytest.ExitCode.OK
            base = invocation.array_base(session.config, task)
            invocation.end(session, lambda: merge(task.reports(base), base))
        return
    run.end()
    run.progress.close()
    try:
        if run.opened and not hasattr(session.config, "workerinput"):
            invocation.end(session, partial(run.finish, run.report))
    finally:
        run.close()


@pytest.hookimpl(tryfirst=True)
def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, str] | None:
    """A failed gate is counted among failures, and has no place in the line of dots."""
    return ("failed", "", report.word) if isinstance(report, invocation.FailedGate) else None


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config
) -> None:
    """End with a short table and the report's path; after an interrupt, with how to go on."""
    ended = config.stash.get(invocation.FINISHED, None)
    if ended is not None:
        invocation.summarise(terminalreporter, ended)
    if exitstatus == pytest.ExitCode.INTERRUPTED and (SESSION in config.stash or ended is not None):
        invocation.say_interrupted(terminalreporter, ended)


def _opened(config: pytest.Config) -> Session | None:
    """The session of this process; None for a worker whose controller knows of no benches."""
    from harness.launch.xdist.worker import open_worker
    from harness.runs.session import opened_session

    store, fresh = invocation.store_directory(config), config.option.titrate_fresh
    further: bool = config.option.titrate_continue
    if hasattr(config, "workerinput"):
        return open_worker(
            config.workerinput,
            config.rootpath,
            store=store,
            fresh=fresh,
            further=further,
            claims=invocation.claims(config),
        )
    line = invocation.live_line(config)
    command = invocation.command(config)
    claims = invocation.claims(config)
    return opened_session(
        config.rootpath,
        command,
        line,
        store=store,
        fresh=fresh,
        further=further,
        claims=claims,
    )
