"""`titrate rescore`: a new report from the completions that a run recorded, without a model."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from harness.claims.claims import Claims
from harness.claims.earlier import claims_of, findings_of
from harness.errors import FieldError, SandboxError, StoreError, TaskError
from harness.files.given import is_file
from harness.report.load import RECORDS, load_report
from harness.report.recorded import recorded_results
from harness.report.run_info import RunInfo
from harness.report.write import check_writable
from harness.resolve.tasks import task_of
from harness.runs.by_task import counted_again
from harness.runs.checks import check_metric, check_metrics
from harness.runs.conclude import Finished, conclude, run_info
from harness.runs.generated import scored
from harness.runs.plan import Address
from harness.runs.planned_case import PlannedCase
from harness.runs.prompt_styles import tokenizer_of
from harness.runs.prompt_warnings import BEGINNINGS
from harness.runs.scored import valued_again
from harness.spec import Case, Experiment, load
from harness.store.folder import RunFolder
from harness.store.places import runs_below
from harness.store.recorded import RecordReader
from harness.store.results import CaseResult, InvariantResult
from harness.store.verdicts import Verdicts
from harness.tasks.base import Task
from harness.tasks.by_name import limited


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
    *,
    spec: Path | None = None,
    unsafe_code: bool = False,
) -> Rescored:
    """Score a run again and write its report to `directory`.

    Args:
        run: The id of a run below `root`, or the directory of a report.
        root: Where the run was started.
        directory: For the new report.
        command: What the new report says that it was made by; when and with which model the
            completions were made stays.
        warn: Told in one line of records that had to be skipped.
        spec: Whose metrics, gates and window take the place of those of the run.
        unsafe_code: Whether code that is not isolated may be run.

    Raises:
        SpecError: a task cannot be loaded any more, or a metric cannot be counted.
        StoreError: there is no such run, or its records cannot be used.
        ReportError: the report is of another schema, or the new one cannot be written.
    """
    check_writable(directory)
    info, before, findings, claims = recorded(run, root, warn)
    asked = before if spec is None else _asked_by(spec, before)
    after = rescored(asked, unsafe_code=unsafe_code, as_recorded=spec is None)
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
    results = list(recorded_results(directory, RecordReader().result))
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


@dataclass(frozen=True)
class Change:
    """What scoring again did to one case: its primary metric's mean and the verdicts that differ.

    A mean is None where the case was, or is, not complete.
    """

    case: str
    metric: str
    before: float | None
    after: float | None
    verdicts: int
    answers: int


def own_tokenizer(experiment: Experiment) -> Any:
    """The tokenizer of an experiment's own model."""
    return tokenizer_of(experiment.model, experiment.engine)


def _asked_by(spec: Path, results: Sequence[CaseResult]) -> list[CaseResult]:
    """The results as if their experiments had asked for the metrics, gates and window of a spec."""
    experiment, source = load(spec)
    names = list(dict.fromkeys(result.case.experiment.name for result in results))
    if len(names) > 1 and experiment.name not in names:
        raise StoreError(
            f"{spec}: is of {experiment.name}, and the run has {', '.join(names)}; give the spec "
            "of one of these"
        )
    wanted = {name: getattr(experiment, name) for name in ("metrics", "metric", "gates", "window")}

    def asking(case: Case) -> Case:
        baseline = None if case.baseline is None else asking(case.baseline)
        changed = case.experiment.model_copy(update=wanted)
        return replace(case, experiment=changed, source=source, baseline=baseline)

    return [
        replace(result, case=asking(result.case))
        if len(names) == 1 or result.case.experiment.name == experiment.name
        else result
        for result in results
    ]


def rescored(
    results: Sequence[CaseResult], *, unsafe_code: bool = False, as_recorded: bool = True
) -> list[CaseResult]:
    """The same results with new scores; what has no completions stays as it is.

    Where a run is scored `as_recorded`, its primary metric stays what it was.

    Raises:
        SpecError: a task cannot be loaded any more, or a metric cannot be counted.
        StoreError: a task has other samples than those that were answered.
    """
    again: dict[str, CaseResult] = {}
    verdicts = Verdicts()  # none that was kept: scoring again is asking again
    for result in results:  # a baseline comes before the cases that are compared with it
        new = result
        if is_counted(result):
            new = again_scored(result, again, verdicts, unsafe_code=unsafe_code)
            if as_recorded:
                new = as_before(new, result)
        again[result.case.id] = new
    return list(again.values())


def changes(before: Sequence[CaseResult], after: Sequence[CaseResult]) -> Iterator[Change]:
    """The cases that are judged otherwise, in order."""
    for old, new in zip(before, after, strict=True):
        verdicts = sum(
            mine.score != theirs.score for mine, theirs in zip(old.draws, new.draws, strict=True)
        )
        mean = _mean(old) if new.metric == old.metric else None
        change = Change(new.case.id, new.metric, mean, _mean(new), verdicts, len(new.draws))
        if verdicts or change.before != change.after or old.status != new.status:
            yield change


def as_before(new: CaseResult, old: CaseResult) -> CaseResult:
    """A result that was scored again, with the primary metric that it had."""
    return replace(new, metric=old.metric) if old.metric in new.sample_metrics else new


def is_counted(result: CaseResult) -> bool:
    """Whether a result can be counted again: it has completions, or what was scored of it.

    What a measure has read, and chosen by what it read, only running it again could give.
    """
    if result.measure.run is not None:
        return False
    return bool(result.draws) or bool(result.replies.get(result.measure.name))


def again_scored(
    result: CaseResult,
    again: Mapping[str, CaseResult],
    verdicts: Verdicts,
    *,
    unsafe_code: bool,
    tokenizer: Callable[[Experiment], Any] = own_tokenizer,
) -> CaseResult:
    """One result with new scores; `again` has those of the cases before it, by their ids.

    Raises:
        SpecError: its task cannot be loaded any more, or a metric cannot be counted.
        StoreError: its task has other samples than those that were answered.
        ModelError: it is counted by its tokens, and the tokenizer is not at hand.
    """
    task = _task(result, unsafe_code=unsafe_code)
    case = PlannedCase(result.case, task, result.nodeid, unsafe_code)
    tokens = partial(tokenizer, result.case.experiment)
    if result.measure.by_task:
        _check_answered(case, result)
        return counted_again(case, result, tokens)
    if result.measure.scores:
        _check_answered(case, result)
        return valued_again(case, result, tokens())
    _check_metrics(case, result)
    addresses = [
        (Address(case.id, draw.sample, draw.draw), draw.prompt, draw.completion)
        for draw in result.draws
    ]
    expected = [
        (sample.id, draw)
        for sample in task.samples
        for draw in range(case.experiment.sampling.draws)
    ]
    if [(address.sample, address.draw) for address, _, _ in addresses] != expected:
        raise StoreError(
            f"{case.id}: its answers are to other samples than {task.name} has now; run it again"
        )
    baseline = again.get(result.baseline or "")
    new = scored(case, addresses, baseline, result.intervention, verdicts, result.replies)
    pieces = {(draw.sample, draw.draw): draw.pieces for draw in result.draws}
    draws = (replace(draw, pieces=pieces[draw.sample, draw.draw]) for draw in new.draws)
    new = replace(new, draws=tuple(draws))
    about_prompts = (each for each in result.warnings if each.startswith(BEGINNINGS))
    new = replace(new, warnings=(*new.warnings, *about_prompts))
    if task.version != result.task_version:
        warning = (
            f"prompted by version {result.task_version} of {task.name}, "
            f"scored by version {task.version}"
        )
        new = replace(new, warnings=(*new.warnings, warning))
    return replace(new, seconds=result.seconds, usage=result.usage, stopped=result.stopped)


def _check_answered(case: PlannedCase, result: CaseResult) -> None:
    """Raise `StoreError` where a sample was answered that the task does not have."""
    answered = {draw.sample for draw in result.draws}
    answered |= {sample for each in result.replies.values() for sample in each}
    if not answered <= case.task.by_id.keys():
        raise StoreError(
            f"{case.id}: its answers are to other samples than {case.task.name} has now; run it "
            "again"
        )


def _check_metrics(case: PlannedCase, result: CaseResult) -> None:
    """Raise `SpecError` for what cannot be counted: also where a model would have to be asked."""
    try:
        check_metrics(case)
        check_metric(case)
        _check_told(case, result)
    except FieldError as error:
        raise case.case.source.locate(error) from error


def _check_told(case: PlannedCase, result: CaseResult) -> None:
    """Raise `FieldError` for a metric that asks models, and was told nothing in the run."""
    for entry in case.counted:
        known = result.contents.get(entry.name)
        told = entry.name in result.replies and known in (None, case.contents[entry.name])
        if entry.asks is not None and not told:
            raise FieldError(
                "metrics",
                f"{entry.name} asks a model, which scoring again does not; run the spec, whose "
                "completions are in the store",
            )


def _task(result: CaseResult, *, unsafe_code: bool) -> Task:
    try:
        experiment = result.case.experiment
        task = task_of(experiment.task, experiment.prompt, unsafe_code=unsafe_code)
        if result.stopped is None:
            return task
        return limited(task, only=list(dict.fromkeys(draw.sample for draw in result.draws)))
    except FieldError as error:
        raise result.case.source.locate(error) from error
    except (TaskError, SandboxError) as error:
        raise result.case.source.locate(FieldError("task", str(error))) from error


def _mean(result: CaseResult) -> float | None:
    values = result.sample_metrics.get(result.metric, {})
    if not values or result.status != "complete":
        return None
    return result.kind(result.metric).of(values.values())
