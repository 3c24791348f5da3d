"""Recorded completions scored again by the tasks as they are now, without a model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from harness.errors import FieldError, StoreError, TaskError
from harness.resolve.tasks import task_of
from harness.runs.plan import Place, PlannedCase
from harness.runs.prompt_warnings import BEGINNINGS
from harness.runs.scoring import scored
from harness.store.results import CaseResult
from harness.store.verdicts import Verdicts
from harness.tasks.base import Task


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


def rescored(results: Sequence[CaseResult]) -> list[CaseResult]:
    """The same results with new scores; what has no completions stays as it is.

    Raises:
        SpecError: a task cannot be loaded any more.
        StoreError: a task has other samples than those that were answered.
    """
    again: dict[str, CaseResult] = {}
    verdicts = Verdicts()  # none that was kept: scoring again is asking again
    for result in results:  # a baseline comes before the cases that are compared with it
        again[result.case.id] = _again(result, again, verdicts) if result.draws else result
    return list(again.values())


def changes(before: Sequence[CaseResult], after: Sequence[CaseResult]) -> Iterator[Change]:
    """The cases that are judged otherwise, in order."""
    for old, new in zip(before, after, strict=True):
        verdicts = sum(
            mine.score != theirs.score for mine, theirs in zip(old.draws, new.draws, strict=True)
        )
        change = Change(new.case.id, new.metric, _mean(old), _mean(new), verdicts, len(new.draws))
        if verdicts or change.before != change.after or old.status != new.status:
            yield change


def _again(result: CaseResult, again: dict[str, CaseResult], verdicts: Verdicts) -> CaseResult:
    task = _task(result)
    case = PlannedCase(result.case, task, result.nodeid)
    places = [
        (Place(case.id, draw.sample, draw.draw), draw.prompt, draw.completion)
        for draw in result.draws
    ]
    expected = [
        (sample.id, draw)
        for sample in task.samples
        for draw in range(case.experiment.sampling.draws)
    ]
    if [(place.sample, place.draw) for place, _, _ in places] != expected:
        raise StoreError(
            f"{case.id}: its answers are to other samples than {task.name} has now; run it again"
        )
    baseline = again.get(result.baseline or "")
    new = scored(case, places, baseline, result.intervention, verdicts, result.replies)
    about_prompts = (each for each in result.warnings if each.startswith(BEGINNINGS))
    new = replace(new, warnings=(*new.warnings, *about_prompts))
    if task.version != result.task_version:
        warning = (
            f"prompted by version {result.task_version} of {task.name}, "
            f"scored by version {task.version}"
        )
        new = replace(new, warnings=(*new.warnings, warning))
    return replace(new, seconds=result.seconds)


def _task(result: CaseResult) -> Task:
    try:
        experiment = result.case.experiment
        return task_of(experiment.task, experiment.prompt.day)
    except FieldError as error:
        raise result.case.source.locate(error) from error
    except TaskError as error:
        raise result.case.source.locate(FieldError("task", str(error))) from error


def _mean(result: CaseResult) -> float | None:
    values = result.sample_metrics.get(result.metric, {})
    if not values or result.status != "complete":
        return None
    return result.kind(result.metric).of(values.values())
