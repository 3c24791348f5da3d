"""`titrate rescore`: a new report from the completions that a run recorded, without a model."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.claims.claims import Claims
from harness.claims.earlier import claims_of, findings_of
from harness.errors import StoreError
from harness.files.given import is_file
from harness.report.load import load_report
from harness.report.recorded import recorded_results
from harness.report.run_info import RunInfo
from harness.report.write import RECORDS, check_writable
from harness.runs.conclude import Finished, conclude, run_info
from harness.runs.rescoring import Change, changes, rescored
from harness.store.folder import RunFolder, runs_below
from harness.store.results import CaseResult, InvariantResult


@dataclass(frozen=True)
class Rescored:
    """The new report, and which cases are judged otherwise than before."""

    finished: Finished
    changes: Sequence[Change]
    answers: int


def rescore(
    run: str,
    root: Path,
    directory: Path,
    command: str,
    warn: Callable[[str], None] = lambda _: None,
) -> Rescored:
    """Score a run again and write its report to `directory`.

    Args:
        run: The id of a run below `root`, or the directory of a report.
        root: Where the run was started.
        directory: For the new report.
        command: What the new report says that it was made by; when and with which model the
            completions were made stays.
        warn: Told in one line of records that had to be skipped.

    Raises:
        StoreError: there is no such run, or its records cannot be used.
        ReportError: the report is of another schema, or the new one cannot be written.
    """
    check_writable(directory)
    info, before, findings, claims = recorded(run, root, warn)
    after = rescored(before)
    name = f"{info.id}-rescored-{secrets.token_hex(2)}"
    info = info.model_copy(update={"id": name, "command": command})
    finished = conclude(info, after, directory, findings, claims)
    answers = sum(len(result.draws) for result in after)
    return Rescored(finished, tuple(changes(before, after)), answers)


def recorded(
    run: str, root: Path, warn: Callable[[str], None] = lambda _: None
) -> tuple[RunInfo, list[CaseResult], Sequence[InvariantResult], Claims]:
    """What was recorded of a run, named by its id or by its report's directory.

    Returns:
        The run, its results, the identities that it checked on whole models, and its claims.

    Raises:
        StoreError: there is no such run, or its records cannot be used.
        ReportError: the report is of another schema.
    """
    runs = runs_below(root)
    folder = RunFolder(runs / run, warn=warn)
    if run not in {"", ".", ".."} and "/" not in run and folder.directory.is_dir():
        manifest = folder.manifest()
        info = run_info(manifest, *folder.engines(), finished=None)
        claims = Claims.read(manifest.gates, manifest.compare, manifest.rules)
        return info, folder.results(), folder.findings(), claims
    directory = Path(run)
    if not is_file(directory / "report.json"):
        known = sorted(path.name for path in runs.iterdir()) if runs.is_dir() else []
        latest = f"the latest run is {known[-1]}" if known else "no run is recorded there"
        raise StoreError(
            f"{run}: is neither a run below {runs} nor the directory of a report; {latest}"
        )
    report = load_report(directory)
    if not (directory / RECORDS).is_file():
        raise StoreError(
            f"{directory}: has no {RECORDS}, the recorded results that every run writes beside its "
            f"report.json and that are scored again; to have it, run again: {report.run.command}"
        )
    results = list(recorded_results(directory))
    return report.run, results, findings_of([report], results), claims_of([report], results)


def changes_text(outcome: Rescored) -> Iterator[str]:
    """What scoring again has changed, a line per case."""
    if not outcome.changes:
        yield f"nothing changed: {outcome.answers:,} answers are judged as before"
    for each in outcome.changes:
        yield (
            f"{each.case}: {each.metric} {_shown(each.before)} -> {_shown(each.after)}, "
            f"{each.verdicts} of {each.answers} answers judged otherwise"
        )


def _shown(mean: float | None) -> str:
    return "none" if mean is None else f"{mean:.3f}"
