"""What pytest's command line and its terminal mean to a run: read and written in one place.

Both the process that runs benches and the one that only starts workers use this; it imports
nothing that imports torch.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from harness import options
from harness.errors import TitrateError
from harness.files.project import project
from harness.processes.interrupts import Held, go_on, held

if TYPE_CHECKING:
    from harness.claims.claims import Claims
    from harness.launch.live import LiveLine
    from harness.resolve.progress import Progress
    from harness.runs.conclude import Finished
    from harness.runs.shard import ArrayShare, Shard
    from harness.spec import Experiment, SpecSource


#: Of tests whose spec the model of the command line cannot run; its argument says why.
REFUSED_MARKER = "titrate_refused"


FINISHED: pytest.StashKey[Finished] = pytest.StashKey()


#: Of tests whose spec the options of the command line do not fit; its argument says why.
MISTAKEN_MARKER = "titrate_mistaken"

_LOADED: pytest.StashKey[dict[Path, LoadedSpec | TitrateError]] = pytest.StashKey()
_TOLD: pytest.StashKey[set[str]] = pytest.StashKey()


class Refusal(NamedTuple):
    """Why an experiment cannot run."""

    experiment: str
    said: str


class LoadedSpec(NamedTuple):
    """A spec as the command line changes it, and where its values come from."""

    experiment: Experiment
    source: SpecSource
    mistake: str | None = None
    """Why the command line's options do not fit it; it is as its file says then."""

    @property
    def marks(self) -> list[pytest.MarkDecorator]:
        """What its tests carry, so that a mistake is told if any of them is selected."""
        return [] if self.mistake is None else [pytest.mark.titrate_mistaken(self.mistake)]


def loaded(config: pytest.Config, file: Path) -> LoadedSpec | None:
    """A spec file, which is read once in a session.

    Raises `CollectError` for one that cannot be read. Several files of benches may ask for it, or
    make the same mistake: it is told once, and is None for all others.
    """
    known = config.stash.setdefault(_LOADED, {})
    if file not in known:
        known[file] = _load(file, overrides(config))
    found = known[file]
    if isinstance(found, LoadedSpec):
        return found
    if not is_news(config, str(found)):
        return None
    raise pytest.Collector.CollectError(str(found))


def _load(file: Path, changes: Sequence[str]) -> LoadedSpec | TitrateError:
    from harness.spec import load
    from harness.spec.loading import check_overrides

    try:
        check_overrides(changes)
    except TitrateError as error:
        return error
    try:
        return LoadedSpec(*load(file, changes))
    except TitrateError as error:
        mistake = error
    try:
        return LoadedSpec(*load(file), mistake=str(mistake))
    except TitrateError:
        return mistake


def as_written(config: pytest.Config, file: Path, mistake: str) -> LoadedSpec | None:
    """A spec without the command line's changes, if its cases are right then.

    None where nothing was changed, or where it is wrong as it is.
    """
    from harness.runs.planned_case import with_task
    from harness.spec import expand, load

    if not overrides(config):
        return None
    try:
        found = LoadedSpec(*load(file), mistake=mistake)
        for case in expand(found.experiment, found.source):
            with_task(case, unsafe_code=config.option.titrate_unsafe_code)
    except TitrateError:
        return None
    config.stash[_LOADED][file] = found
    return found


def is_news(config: pytest.Config, said: str) -> bool:
    """Whether this session has not said so yet; it is told then."""
    told = config.stash.setdefault(_TOLD, set())
    if said in told:
        return False
    told.add(said)
    return True


def mistaken(items: Sequence[pytest.Item]) -> dict[pytest.Item, Refusal]:
    """Those whose spec the options of the command line do not fit."""
    markers = {item: item.get_closest_marker(MISTAKEN_MARKER) for item in items}
    return {
        item: Refusal(item.name, marker.args[0])
        for item, marker in markers.items()
        if marker is not None
    }


def leave_out(
    session: pytest.Session, problems: Mapping[pytest.Item, Refusal], *, always: bool = False
) -> None:
    """Take out items that cannot run: their files' collection has failed, and this is why.

    It looks as if collection had found this out, but is checked later and only for items that
    are selected. Where one model was chosen for all specs that are there, those that it cannot
    run are skipped by name, unless their own file was asked for, or this is to be told `always`.
    """
    config = session.config
    one_for_all = config.option.titrate_model is not None
    told: dict[str, dict[str, None]] = {}
    refused = set()
    for item, problem in problems.items():
        if (
            not always
            and one_for_all
            and not (item.path.suffix != ".py" and item.path in named_paths(config))
        ):
            reason = f"{problem.experiment} is left out: {problem.said}"
            item.add_marker(pytest.mark.skip(reason=reason))
            item.add_marker(pytest.mark.titrate_refused(problem.said))
            continue
        refused.add(item)
        file = item.getparent(pytest.File)  # type: ignore[type-abstract]
        told.setdefault("" if file is None else file.nodeid, {})[problem.said] = None
    session.items[:] = [item for item in session.items if item not in refused]
    for nodeid, every in told.items():
        lines = [line for line in every if is_news(config, line)]
        if not lines:
            continue
        report = pytest.CollectReport(nodeid, "failed", "\n".join(lines), [])
        config.hook.pytest_collectreport(report=report)


def command(config: pytest.Config) -> str:
    """The command line as typed, shell-quoted."""
    return shlex.join([Path(sys.argv[0]).name, *config.invocation_params.args])


def overrides(config: pytest.Config) -> list[str]:
    """All overrides of the command line, as `load` takes them."""
    given = {name: getattr(config.option, f"titrate_{name}", None) for name in options.BY_NAME}
    return options.overrides(given)


def spec_root(config: pytest.Config) -> Path:
    """The folder of spec files."""
    configured = config.getini("titrate_specs")
    if configured:
        return Path(configured[0])
    return project(config.rootpath).specs or config.rootpath / "specs"


def refusal(items: Sequence[pytest.Item]) -> str | None:
    """Why nothing can be run of a selection: the chosen model runs none of its specs; else None."""
    found = [item.get_closest_marker(REFUSED_MARKER) for item in items]
    reasons = dict.fromkeys(marker.args[0] for marker in found if marker is not None)
    return "\n".join(reasons) if reasons and None not in found else None


def named_paths(config: pytest.Config) -> list[Path]:
    """The files and folders that pytest was asked to run."""
    return [Path(config.invocation_params.dir, argument.split("::")[0]) for argument in config.args]


def shard(config: pytest.Config) -> Shard | ArrayShare | None:
    """The share that was asked for; raises `TitrateError` when there is no such share."""
    from harness.runs.shard import asked_share

    return asked_share(config.option.titrate_shard, array=config.option.titrate_array)


def array_task(config: pytest.Config) -> ArrayShare | None:
    """The task of an array that this process is."""
    from harness.runs.shard import ArrayShare

    own = shard(config)
    return own if isinstance(own, ArrayShare) else None


def array_base(config: pytest.Config, task: ArrayShare) -> Path:
    """Where the report of an array's tasks goes."""
    here, given = config.invocation_params.dir, config.option.titrate_report
    return task.base(None if given is None else here / given, here)


def claims(config: pytest.Config) -> Claims:
    """What the command line wants the run to be judged by."""
    from harness.claims.claims import Claims
    from harness.claims.saved import SAVED, SavedRuns

    option = config.option
    return Claims.read(
        option.titrate_gate,
        option.titrate_compare,
        option.titrate_compare_fail,
        option.titrate_save,
        SavedRuns(config.rootpath / SAVED),
    )


def store_directory(config: pytest.Config) -> Path | None:
    """Where completions are stored; None for the usual place."""
    given = config.option.titrate_store
    return None if given is None else config.invocation_params.dir / given


def report_directory(config: pytest.Config, started: datetime, progress: Progress) -> Path:
    """Where the report will go, found to be writable; says so when an older one is replaced."""
    from harness.report.page_link import shown
    from harness.report.write import check_writable, default_directory

    here = config.invocation_params.dir
    given = config.option.titrate_report
    if (own := array_task(config)) is not None:
        directory = own.directory(array_base(config, own))
    else:
        directory = default_directory(here, started) if given is None else here / given
    if check_writable(directory):
        progress.note(f"the report in {shown(directory)} will be replaced")
    return directory


def live_line(config: pytest.Config) -> LiveLine:
    """Progress on the terminal that pytest has captured, between its own lines."""
    from harness.launch.live import LiveLine, Polite

    reporter = config.pluginmanager.get_plugin("terminalreporter")
    capture = config.pluginmanager.get_plugin("capturemanager")

    def exposed() -> AbstractContextManager[None]:
        return nullcontext() if capture is None else capture.global_and_fixture_disabled()

    def end_line() -> None:
        if reporter is not None:
            reporter.ensure_newline()

    line = LiveLine(sys.__stderr__ or sys.stderr, exposed, end_line)
    # pytest writes its own lines whenever it likes; there is no hook around them all.
    writer = config.get_terminal_writer()
    writer._file = Polite(writer._file, line)  # noqa: SLF001
    return line


def end(session: pytest.Session, ending: Callable[[], Finished | None]) -> None:
    """End a run: write its report, keep what it took for the summary, fail on what must not be."""
    interrupted = session.exitstatus == pytest.ExitCode.INTERRUPTED
    try:
        # A second interrupt ends the run without a report.
        with nullcontext(Held()) if interrupted else held() as late:
            ended = ending()
    except TitrateError as error:
        session.config.get_terminal_writer().line(f"\ntitrate: {error}", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        return
    except KeyboardInterrupt:
        session.exitstatus = pytest.ExitCode.INTERRUPTED
        return
    if late.interrupted:
        session.exitstatus = pytest.ExitCode.INTERRUPTED
    if ended is not None:
        session.config.stash[FINISHED] = ended
        _tell_gates(session.config, ended)
        if ended.problems and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


class FailedGate(pytest.TestReport):
    """What pytest is told of a gate that failed, as if it were a test that did.

    It has no letter in the line of dots, which has ended, and in the summary afterwards its `word`.
    """

    word = ""


def _tell_gates(config: pytest.Config, finished: Finished) -> None:
    """Make every gate that failed a failure of its own, for all that listen to reports of tests.

    Like a test's it stands in the short summary and in JUnit's XML; `--lf` forgets it at once,
    because there is no test of its name to be run alone.
    """
    from harness.runs.conclude import problem

    remembered = getattr(config.pluginmanager.get_plugin("lfplugin"), "lastfailed", {})
    for gate in finished.failed_gates:
        call = pytest.CallInfo.from_call(partial(pytest.fail, problem(gate), pytrace=False), "call")
        assert call.excinfo is not None
        shown = call.excinfo.getrepr(style="value")
        if shown.reprcrash is not None:  # what the short summary has room for
            shown.reprcrash.message = gate.detail
        name = f"gate {gate.gate}"
        report = FailedGate(
            nodeid=f"{gate.experiment}::{name}",
            location=(gate.experiment, None, name),
            keywords={},
            outcome="failed",
            longrepr=shown,
            when="call",
        )
        config.hook.pytest_runtest_logreport(report=report)
        report.word = "FAILED"
        # Keys are texts, or print as such, by pytest's version.
        for known in [known for known in remembered if str(known) == report.nodeid]:
            del remembered[known]


def summarise(reporter: pytest.TerminalReporter, finished: Finished) -> None:
    """A table, what held, what the run took, and where its page is."""
    from harness.launch.closing import summary
    from harness.report.page_link import has_links

    reporter.section("titrate")
    alarming = {*finished.lost, *finished.violations}
    link = has_links(terminal=bool(reporter.isatty))
    for line in summary(finished, link=link, verbose=reporter.config.option.titrate_verbose):
        reporter.write_line(line, red=line in alarming)


def say_interrupted(reporter: pytest.TerminalReporter, finished: Finished | None) -> None:
    """Print one line after Ctrl-C: where the report is, and how to go on."""
    from harness.report.page_link import shown

    reporter.ensure_newline()
    where = "no report" if finished is None else f"report: {shown(finished.directory)}"
    further = go_on(fresh=reporter.config.option.titrate_fresh)
    reporter.write_line(f"titrate: interrupted; {where}; {further}")
