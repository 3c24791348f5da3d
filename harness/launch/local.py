"""Runs without pytest: experiments or spec files in, one written report out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import NoneType

from harness.claims.claims import Claims
from harness.errors import FieldError, SpecError, TitrateError
from harness.processes.interrupts import go_on, held
from harness.report.loaded import LoadedReport
from harness.report.write import check_writable, default_directory
from harness.resolve.progress import Progress, Silent
from harness.runs.conclude import Finished
from harness.runs.forecast import Forecast, forecast
from harness.runs.plan import PlannedCase, check_compatible
from harness.runs.requirements import unmet
from harness.runs.session import Session, opened_session
from harness.runs.shard import Shard
from harness.spec import Case, Experiment, Source, expand, load
from harness.store.completions import CompletionStore
from harness.store.folder import store_below

_LISTS = (list, tuple)


def run(
    experiment: Experiment | Path | str,
    *,
    overrides: Sequence[str] = (),
    directory: Path | str | None = None,
    progress: Progress | None = None,
    store: Path | str | None = None,
    fresh: bool = False,
    unsafe_code: bool = False,
    gates: Sequence[str] = (),
    save: str | None = None,
    compare: str | None = None,
    compare_fail: Sequence[str] = (),
) -> LoadedReport:
    """Run every case of an experiment (or of a spec file) and write its report.

    `overrides` are `field=value` strings for a spec file. The report lies in `directory`, by
    default in a new folder below `reports/`. Completions are looked for and kept in `store`, by
    default `.titrate/store`; `fresh` makes all of them again. `unsafe_code` allows code that the
    model wrote to run as a plain process, with your rights, where it cannot be isolated. `gates`,
    `save`, `compare` and `compare_fail` are those of the command line (`docs/statistics.md`).
    Raises `SpecError` for a spec that cannot be run, and `TitrateError` for a violated invariant
    or gate after the report was written. What is returned is what `harness.load_report` makes of
    the report's folder.
    """
    _check_arguments(
        [
            ("experiment", experiment, (Experiment, Path, str), "an Experiment or a spec's path"),
            ("overrides", overrides, _LISTS, "a list of 'field=value'"),
            ("directory", directory, (Path, str, NoneType), "a path"),
            ("store", store, (Path, str, NoneType), "a path"),
            ("gates", gates, _LISTS, "a list of claims"),
            ("save", save, (str, NoneType), "a name"),
            ("compare", compare, (str, NoneType), "a saved run's name, a file or a directory"),
            ("compare_fail", compare_fail, _LISTS, "a list of rules"),
        ]
    )
    if overrides and isinstance(experiment, Experiment):
        raise SpecError(
            f"{overrides[0]}: overrides are for spec files; change an experiment with model_copy"
        )
    finished = run_specs(
        [experiment],
        overrides,
        directory,
        progress or Silent(),
        "harness.run",
        store=store,
        fresh=fresh,
        unsafe_code=unsafe_code,
        claims=Claims.read(gates, compare, compare_fail, save),
    )
    if finished.problems:
        raise TitrateError(f"{finished.problems[0]} (report: {finished.directory})")
    return LoadedReport(finished.report, finished.directory)


def _check_arguments(
    given: Sequence[tuple[str, object, tuple[type, ...], str]],
) -> None:
    """Raise SpecError for an argument that would fail much later, or mean something else.

    A text in a list's place is the commonest: it would be taken letter by letter.
    """
    for name, value, kinds, wanted in given:
        texts = kinds is not _LISTS or all(
            isinstance(each, str) for each in (value if isinstance(value, _LISTS) else ())
        )
        if not isinstance(value, kinds) or not texts:
            raise SpecError(f"harness.run: {name}={value!r:.80}: expected {wanted}")


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
    shard: Shard | None = None,
    claims: Claims | None = None,
) -> Finished:
    """Run several experiments as one session; cases whose requirements are unmet are left out.

    With a `shard`, only that share of the cases is run. A model that cannot be loaded fails its own
    cases. An engine that breaks, or an interruption, is raised again after the report of what was
    finished is written.
    """
    cases = _cases(specs, overrides)
    reasons = {case.id: unmet(case.experiment) for case in cases}
    session = opened_session(
        Path.cwd(), command, progress, store=store, fresh=fresh, claims=claims or Claims()
    )
    session.report = Path(directory or default_directory(Path.cwd(), session.started))
    if check_writable(session.report):
        progress.note(f"the report in {session.report} will be replaced")
    further = go_on(fresh=fresh)
    try:
        return _run(session, cases, reasons, shard, further, unsafe_code=unsafe_code)
    except KeyboardInterrupt as interrupt:
        if not getattr(interrupt, "__notes__", ()):
            interrupt.add_note(f"no report was written; {further}")
        raise
    finally:
        progress.close()
        session.close()


def _run(
    session: Session,
    cases: Sequence[Case],
    reasons: Mapping[str, str | None],
    shard: Shard | None,
    further: str,
    *,
    unsafe_code: bool,
) -> Finished:
    """All of it; `further` is what whoever interrupts is told behind where the report is."""
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
    stopped = _run_all(session, selected)
    session.end()
    if stopped is not None and not session.opened:
        raise stopped
    if isinstance(stopped, KeyboardInterrupt):
        finished = session.finish(session.report)  # whoever insists gets none
        stopped.add_note(f"report: {finished.directory}; {further}")
        raise stopped
    with held() as late:
        finished = session.finish(session.report)
    if late.interrupted:
        interrupt = KeyboardInterrupt()
        interrupt.add_note(f"report: {finished.directory}; {further}")
        raise interrupt
    if stopped is not None and not isinstance(stopped, TitrateError):
        stopped.add_note(f"The report of what was finished: {finished.directory}")
        raise stopped
    skipped = [f"{id_} {reason}" for id_, reason in reasons.items() if reason is not None]
    return replace(finished, skipped=skipped)


def forecast_specs(
    specs: Sequence[Path],
    overrides: Sequence[str],
    store: Path | None,
    *,
    unsafe_code: bool = False,
    shard: Shard | None = None,
    claims: Claims | None = None,
) -> list[Forecast]:
    """What `run_specs` would do with these specs here and now; refuses what it would refuse."""
    from harness.runs.checks import planned  # imports torch

    cases = [
        planned(case, unsafe_code=unsafe_code)
        for case in _cases(specs, overrides)
        if unmet(case.experiment) is None
    ]
    check_compatible(cases)
    (claims or Claims()).check(cases)
    if shard is not None:
        cases, _ = shard.own(cases)
    return forecast(cases, CompletionStore(store or store_below(Path.cwd())))


def _cases(specs: Sequence[Experiment | Path | str], overrides: Sequence[str]) -> list[Case]:
    cases: list[Case] = []
    for spec in specs:
        loaded = (spec, Source.of(spec)) if isinstance(spec, Experiment) else load(spec, overrides)
        described, source = loaded
        if described.search is not None:
            error = FieldError("search", "is run by `titrate search`, not as cases")
            raise source.locate(error)
        cases += expand(described, source)
    return cases


def _run_all(session: Session, cases: Sequence[PlannedCase]) -> BaseException | None:
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
