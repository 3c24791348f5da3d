"""What pytest's command line and its terminal mean to a run: read and written in one place.

Both the process that runs benches and the one that only starts workers use this; it imports
nothing that imports torch.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.errors import TitrateError
from harness.interrupts import GO_ON, Held, held

if TYPE_CHECKING:
    from harness.live_line import LiveLine
    from harness.reporting.claims import Claims
    from harness.reporting.conclude import Finished
    from harness.runs.progress import Counts, Progress
    from harness.runs.shard import Shard


@dataclass(frozen=True)
class Ended:
    """A run whose report is written, with what it took; `loads` are model loads by worker."""

    finished: Finished
    counts: Counts
    loads: Mapping[str, int] = field(default_factory=dict)


ENDED: pytest.StashKey[Ended] = pytest.StashKey()


def command(config: pytest.Config) -> str:
    """The command line as typed, shell-quoted."""
    return shlex.join([Path(sys.argv[0]).name, *config.invocation_params.args])


def overrides(config: pytest.Config) -> list[str]:
    """All overrides of the command line, as `load` takes them."""
    given = list(config.option.titrate_set)
    if config.option.titrate_limit is not None:
        given.append(f"--titrate-limit={config.option.titrate_limit}")
    if config.option.titrate_model is not None:
        given.append(f"--titrate-model={config.option.titrate_model}")
    if config.option.titrate_engine is not None:
        given.append(f"--titrate-engine={config.option.titrate_engine}")
    return given


def spec_root(config: pytest.Config) -> Path:
    """The folder of spec files."""
    configured = config.getini("titrate_specs")
    return Path(configured[0]) if configured else config.rootpath / "specs"


def named_paths(config: pytest.Config) -> list[Path]:
    """The files and folders that pytest was asked to run."""
    return [Path(config.invocation_params.dir, argument.split("::")[0]) for argument in config.args]


def shard(config: pytest.Config) -> Shard | None:
    """The shard that was asked for; raises `TitrateError` when there is no such shard."""
    from harness.runs.shard import Shard

    given = config.option.titrate_shard
    return None if given is None else Shard.parse(given)


def claims(config: pytest.Config) -> Claims:
    """What the command line wants the run to be judged by."""
    from harness.reporting.claims import Claims
    from harness.reporting.comparing import SAVED, Comparing
    from harness.reporting.saved import SavedRuns

    option = config.option
    comparing = Comparing(option.titrate_compare, option.titrate_compare_fail, option.titrate_save)
    return Claims(option.titrate_gate, comparing, SavedRuns(config.rootpath / SAVED))


def store_directory(config: pytest.Config) -> Path | None:
    """Where completions are stored; None for the usual place."""
    given = config.option.titrate_store
    return None if given is None else config.invocation_params.dir / given


def report_directory(config: pytest.Config, started: datetime, progress: Progress) -> Path:
    """Where the report will go, found to be writable; says so when an older one is replaced."""
    from harness.reporting import check_writable, default_directory

    here = config.invocation_params.dir
    given = config.option.titrate_report
    directory = default_directory(here, started) if given is None else here / given
    if check_writable(directory):
        progress.note(f"the report in {_shown(directory)} will be replaced")
    return directory


def live_line(config: pytest.Config) -> LiveLine:
    """Progress on the terminal that pytest has captured, between its own lines."""
    from harness.live_line import LiveLine, Polite

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


def end(session: pytest.Session, ending: Callable[[], Ended | None]) -> None:
    """End a run: write its report, keep what it took for the summary, fail on what must not be."""
    interrupted = session.exitstatus == pytest.ExitCode.INTERRUPTED
    try:
        # Whoever has interrupted the run and does so again wants no report.
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
        session.config.stash[ENDED] = ended
        if ended.finished.problems and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


def summarise(reporter: pytest.TerminalReporter, ended: Ended) -> None:
    """A short table, what the run took, and the report's path."""
    from harness.reporting import table

    reporter.section("titrate")
    if ended.finished.report.cases:
        reporter.write_line(table(ended.finished.report))
    if ended.finished.compared:
        reporter.write_line(ended.finished.compared)
    for problem in ended.finished.problems:
        reporter.write_line(problem, red=True)
    for line in ended.finished.verdicts:
        reporter.write_line(line)
    counts = ended.counts
    loads = f"{counts.loads} model load{'s' if counts.loads != 1 else ''}"
    if ended.loads:
        loads += f" ({', '.join(f'{name}: {count}' for name, count in ended.loads.items())})"
    if not counts.requests_total and not ended.finished.report.cases:  # identities alone
        reporter.write_line(loads)
    else:
        reporter.write_line(f"{loads}; {_generated(counts)}")
    reporter.write_line(f"report: {_shown(ended.finished.directory)}")
    if ended.finished.kept is not None:
        reporter.write_line(f"saved: {_shown(ended.finished.kept)}")


def say_interrupted(reporter: pytest.TerminalReporter, ended: Ended | None) -> None:
    """One line to whoever pressed Ctrl-C: where the report is, and how to go on."""
    reporter.ensure_newline()
    where = "no report" if ended is None else f"report: {_shown(ended.finished.directory)}"
    reporter.write_line(f"titrate: interrupted; {where}; {GO_ON}")


def _generated(counts: Counts) -> str:
    stored = f" ({counts.requests_stored:,} stored)" if counts.requests_stored else ""
    speed = f" ({counts.speed})" if counts.speed else ""
    return (
        f"{counts.requests_done:,} requests{stored}, {counts.tokens:,} tokens "
        f"in {counts.seconds:.1f} s{speed}"
    )


def _shown(path: Path) -> str:
    """A path relative to where the user stands, if it lies below."""
    absolute = path.absolute()
    here = Path.cwd()
    return str(absolute.relative_to(here) if absolute.is_relative_to(here) else absolute)
