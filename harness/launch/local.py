"""Runs in this process: cases or spec files in, one written report out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from harness.claims.claims import Claims
from harness.errors import TitrateError
from harness.launch.selection import selected
from harness.processes.interrupts import go_on, held
from harness.report.write import check_writable, default_directory
from harness.resolve.progress import Progress
from harness.runs.compatible import check_compatible
from harness.runs.conclude import Finished
from harness.runs.forecast import Forecast, forecast
from harness.runs.planned_case import PlannedCase
from harness.runs.requirements import unmet
from harness.runs.session import Session, opened_session
from harness.runs.shard import ArrayShare, Shard
from harness.spec import Case, Experiment
from harness.store.completions import CompletionStore
from harness.store.places import store_below


def run_specs(
    specs: Sequence[Experiment | Path | str],
    overrides: Sequence[str],
    directory: Path | str | None,
    progress: Progress,
    command: str,
    *,
    store: Path | str | None = None,
    fresh: bool = False,
    unsafe_code: bool = False,
) -> Finished:
    """Run all cases of several experiments as one session (`run_cases`)."""
    return run_cases(
        selected(specs, overrides).cases,
        directory,
        progress,
        command,
        store=store,
        fresh=fresh,
        unsafe_code=unsafe_code,
    )


def run_cases(
    cases: Sequence[Case],
    directory: Path | str | None,
    progress: Progress,
    command: str,
    *,
    store: Path | str | None = None,
    fresh: bool = False,
    further: bool = False,
    unsafe_code: bool = False,
    shard: Shard | ArrayShare | None = None,
    claims: Claims | None = None,
) -> Finished:
    """Run cases as one session; those whose requirements are unmet are left out.

    With a `shard`, only that share of the cases is run. A model that cannot be loaded fails its own
    cases. An engine that breaks, or an interruption, is raised again after the report of what was
    finished is written.
    """
    reasons = {case.id: unmet(case.experiment) for case in cases}
    session = opened_session(
        Path.cwd(),
        command,
        progress,
        store=store,
        fresh=fresh,
        further=further,
        claims=claims or Claims(),
    )
    session.report = Path(directory or default_directory(Path.cwd(), session.started))
    if check_writable(session.report):
        progress.note(f"the report in {session.report} will be replaced")
    again = go_on(fresh=fresh)
    try:
        return _run(session, cases, reasons, shard, again, unsafe_code=unsafe_code)
    except KeyboardInterrupt as interrupt:
        if not getattr(interrupt, "__notes__", ()):
            interrupt.add_note(f"no report was written; {again}")
        raise
    finally:
        progress.close()
        session.close()


def _run(
    session: Session,
    cases: Sequence[Case],
    reasons: Mapping[str, str | None],
    shard: Shard | ArrayShare | None,
    again: str,
    *,
    unsafe_code: bool,
) -> Finished:
    """All of it; an interrupt prints `again` behind the place of the report."""
    from harness.runs.checks import planned  # imports torch

    selected = [
        planned(case, unsafe_code=unsafe_code) for case in cases if reasons[case.id] is None
    ]
    if shard is not None:
        session.shard = shard.description(case.case for case in selected)
        session.selection = selected
        selected, _ = shard.own(selected)
    session.plan(selected)
    session.begin()
    stopped = run_all(session, selected)
    session.end()
    if stopped is not None and not session.opened:
        raise stopped
    if isinstance(stopped, KeyboardInterrupt):
        finished = session.finish(session.report)  # a second interrupt ends it without a report
        stopped.add_note(f"report: {finished.directory}; {again}")
        raise stopped
    with held() as late:
        finished = session.finish(session.report)
    if late.interrupted:
        interrupt = KeyboardInterrupt()
        interrupt.add_note(f"report: {finished.directory}; {again}")
        raise interrupt
    if stopped is not None and not isinstance(stopped, TitrateError):
        stopped.add_note(f"The report of what was finished: {finished.directory}")
        raise stopped
    skipped = [f"{id_} {reason}" for id_, reason in reasons.items() if reason is not None]
    return replace(finished, skipped=skipped)


def forecast_cases(
    cases: Sequence[Case],
    store: Path | str | None,
    *,
    unsafe_code: bool = False,
    shard: Shard | ArrayShare | None = None,
    claims: Claims | None = None,
) -> list[Forecast]:
    """What `run_cases` would do with these here and now; refuses what it would refuse."""
    from harness.runs.checks import planned  # imports torch

    own = [
        planned(case, unsafe_code=unsafe_code) for case in cases if unmet(case.experiment) is None
    ]
    check_compatible(own)
    (claims or Claims()).check(own)
    if shard is not None:
        own, _ = shard.own(own)
    return forecast(own, CompletionStore(store or store_below(Path.cwd())))


def run_all(session: Session, cases: Sequence[PlannedCase]) -> BaseException | None:
    """Ask for every outcome; returns what stopped a model's cases, or the whole run, first.

    Our own errors give way to others: they are in the report, and the others are not expected.
    """
    stopped: BaseException | None = None
    for case in cases:
        try:
            session.outcome(case)
        except KeyboardInterrupt as interrupt:
            return interrupt
        except Exception as error:
            if stopped is None or isinstance(stopped, TitrateError):
                stopped = error
    return stopped
