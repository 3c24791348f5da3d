"""What comes of all documents of a case, counted by lm-eval's filters and `process_results`.

A copy of every instance is filled with the case's answers, so that cases share what was built. One
answer is a text, or `[log-likelihood, greedy]`, or the log-likelihood of a whole document; an
instance has as many as it is repeated.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from harness.errors import TaskError
from harness.tasks.answers.alike import answer_alike
from harness.tasks.base import Score, TaskMetric
from harness.tasks.lm_eval.loading import quiet
from harness.tasks.lm_eval.naming import LmEvalMetric, metrics_of, named, safe, stated_as
from harness.tasks.lm_eval.task import LmEvalTask

#: Sample id -> instance -> answer of each repeat.
Answers = Mapping[str, Sequence[Sequence[Any]]]


@dataclass(frozen=True)
class Logged:
    """One document by one filter, as lm-eval counts it."""

    sample: str
    task: str
    filter: str
    instances: Sequence[Any]
    metrics: Mapping[str, Any]


@dataclass
class DocumentCounts:
    """What a case's documents come to: `Measure.outcome` says what each part is."""

    values: dict[str, dict[str, Any]] = field(default_factory=dict)
    failures: dict[str, dict[str, str]] = field(default_factory=dict)
    entries: dict[str, TaskMetric] = field(default_factory=dict)
    verdicts: dict[str, Sequence[Score]] = field(default_factory=dict)


def logged(task: LmEvalTask, asked: Mapping[str, Sequence[Any]], answers: Answers) -> list[Logged]:
    """Every document by every filter, task by task; `asked` are the documents' instances.

    Raises TaskError where the code of a task breaks.
    """
    found: list[Logged] = []
    for name, own in task.loaded.tasks.items():
        filled: dict[str, list[Any]] = {}
        for sample in task.samples:
            if sample.id.rpartition("/")[0] == name and sample.id in answers:
                filled[sample.id] = [
                    replace(instance, resps=[_given(each) for each in said], filtered_resps={})
                    for instance, said in zip(asked[sample.id], answers[sample.id], strict=True)
                ]
        every = [instance for instances in filled.values() for instance in instances]
        if not every:
            continue
        try:
            with quiet():
                own._instances = every  # noqa: SLF001 - what `apply_filters` filters
                own.apply_filters()
                found += [
                    Logged(
                        sample,
                        name,
                        key,
                        instances,
                        own.process_results(
                            instances[0].doc, [each.filtered_resps[key] for each in instances]
                        ),
                    )
                    for key in every[0].filtered_resps
                    for sample, instances in filled.items()
                ]
        except Exception as error:  # filters and metrics of whoever wrote the task
            first = next(iter(str(error).strip().splitlines()), "")
            raise TaskError(f"{name}: scoring: {type(error).__name__}: {first}") from error
    return found


def outcome(
    task: LmEvalTask, asked: Mapping[str, Sequence[Any]], answers: Answers
) -> DocumentCounts:
    """Values and what they are, document by document."""
    result = DocumentCounts()
    documents = logged(task, asked, answers)
    for name, counted in _metrics(task, documents).items():
        result.entries[name] = counted.stated
        values, failures = result.values.setdefault(name, {}), dict[str, str]()
        for each in documents:
            if each.filter != counted.filter or each.task not in counted.tasks:
                continue
            if counted.metric not in each.metrics:
                failures[each.sample] = f"{each.task} counts no {counted.metric} of it"
                continue
            value = plain(each.metrics[counted.metric])
            if not _finite(value):
                failures[each.sample] = f"its value is {value}, which is no finite number"
            else:
                values[each.sample] = [each.task, value] if counted.by_task else value
        if not values:
            del result.values[name], result.entries[name]
        elif failures:
            result.failures[name] = failures
    result.verdicts = _verdicts(task, asked, answers, documents)
    return result


def _metrics(task: LmEvalTask, documents: Sequence[Logged]) -> Mapping[str, LmEvalMetric]:
    """The metrics that a task states, and those that its documents turned out to have."""
    known = dict(metrics_of(task.loaded))
    stated = {(each.metric, each.filter, name) for each in known.values() for name in each.tasks}
    alone = len(task.loaded.tasks) == 1
    for each in documents:
        for metric in each.metrics:
            if (metric, each.filter, each.task) not in stated:
                stated.add((metric, each.filter, each.task))
                name = named(metric, each.filter)
                own = task.loaded.tasks[each.task]
                known[name if alone else f"{name}@{safe(each.task)}"] = LmEvalMetric(
                    metric, each.filter, (each.task,), stated_as(own, each.task, metric)
                )
    return known


def _verdicts(
    task: LmEvalTask,
    asked: Mapping[str, Sequence[Any]],
    answers: Answers,
    documents: Sequence[Logged],
) -> dict[str, Sequence[Score]]:
    """What is said of each document's answers: one score for all of them, or, where one text was
    generated several times, one for each, counted as if all had been like it.
    """
    repeats = {
        sample: len(own[0])
        for sample, own in answers.items()
        if len(own) == 1 and len(own[0]) > 1 and isinstance(own[0][0], str)
    }
    together = [each for each in documents if each.sample not in repeats]
    found: dict[str, Sequence[Score]] = {
        sample: [score] for sample, score in _scores(task, together).items()
    }
    each_alone: dict[str, list[Score]] = {sample: [] for sample in repeats}
    for draw in range(max(repeats.values(), default=0)):
        alike = {name: [[answers[name][0][draw]] * n] for name, n in repeats.items() if draw < n}
        for sample, score in _scores(task, logged(task, asked, alike)).items():
            each_alone[sample].append(score)
    return found | each_alone


def _scores(task: LmEvalTask, documents: Sequence[Logged]) -> dict[str, Score]:
    """Right or wrong, where the first number of the first filter is 0 or 1; with what was read."""
    found: dict[str, Score] = {}
    for each in documents:
        if each.sample in found:
            continue
        value = next((plain(value) for value in each.metrics.values()), None)
        read = each.instances[0].filtered_resps[each.filter]
        correct = bool(value) if value in (0, 1, 0.0, 1.0) else None
        detail = f"{each.filter}: {read!r}"[:400] if each.filter != "none" else ""
        parsed = read != "[invalid]"
        answer = _answer(task, each, read) if parsed and correct is not None else None
        found[each.sample] = Score(correct, parsed=parsed, detail=detail, answer=answer)
    return found


def _answer(task: LmEvalTask, document: Logged, read: Any) -> str | None:
    """What a filter has read, or, where there is none, what the text says in the target's form."""
    if not isinstance(read, str):
        return None
    if document.filter != "none":
        return read
    target = task.loaded.tasks[document.task].doc_to_target(document.instances[0].doc)
    return answer_alike(read, str(target))


def plain(value: Any) -> Any:
    """A value as JSON: numpy's numbers and arrays as Python's, tuples as lists."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, tuple | list):
        return [plain(each) for each in value]
    return int(value) if isinstance(value, bool) else value


def given_back(value: Any) -> Any:
    """The value as `process_results` gave it, for lm-eval's aggregates."""
    return tuple(value) if isinstance(value, list) else value


def _given(answer: Any) -> Any:
    return tuple(answer) if isinstance(answer, list) else answer


def _finite(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_finite, value))
    return not isinstance(value, float) or math.isfinite(value)
