"""Which metric a name is: of a measure, of a spec's `metrics:`, or of the task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import Any

from harness import registry
from harness.errors import RegistryError
from harness.metrics.aggregates import aggregate_named
from harness.metrics.entry import MetricEntry
from harness.metrics.kind import entry_of
from harness.registry import Registry
from harness.spec.experiment import Experiment
from harness.spec.measure import Measure
from harness.spec.metric import MetricSettings, needs_of, section_of
from harness.tasks.base import TaskMetric

#: What a task scores: a share of right (or parsed, ...) answers.
SCORE = MetricEntry("score", "share of right answers", "higher", "rate", (0, 1))
_UNKNOWN = MetricEntry("unknown", "measured by another version, or by what is not installed")


def metric_of(
    measure: str,
    name: str,
    asked: Sequence[str | MetricSettings] = (),
    *,
    task: object = None,
    answer: object = None,
    stated: Mapping[str, TaskMetric] = MappingProxyType({}),
) -> MetricEntry:
    """The metric that an experiment with this `measure`, and these `metrics:`, calls so.

    What completions are scored by is a share, whatever a task calls it, unless it is registered or
    `task`, or the kind of `answer`, states what it is (`Task.entries`); `stated` is what was stated
    where it was counted, which holds. One that another version measured has no known direction.
    """
    if name in stated:
        return _entry(name, stated[name])
    if measure not in registry.measures:
        return _UNKNOWN
    found: Measure = registry.measures.get(measure)
    own = next((item for item in asked if section_of(item).called == name), None)
    if found.reads and (own is None or not found.by_task):
        return next((each for each in found.entries() if each.name == name), _UNKNOWN)
    if own is None and name in registry.metrics and not needs_of(name):
        own = name
    if own is not None:
        return entry_of(own)
    described = {**_entries(registry.tasks, task), **_entries(registry.answers, answer)}.get(name)
    return SCORE if described is None else _entry(name, described)


def _entry(name: str, stated: TaskMetric) -> MetricEntry:
    aggregate = aggregate_named(stated.aggregate)
    return MetricEntry(
        name, stated.summary, stated.good, stated.kind, stated.bounds, aggregate=aggregate
    )


def _entries(registered: Registry[Any], name: object) -> Mapping[str, TaskMetric]:
    """What is stated by what has a name; nothing where it is not installed here."""
    if not isinstance(name, str) or name not in registered:
        return {}
    with suppress(RegistryError):
        stated: Mapping[str, TaskMetric] = registered.get(name).entries
        return stated
    return {}


def kind_of(experiment: Experiment, name: str) -> MetricEntry:
    """The metric that an experiment calls so."""
    task = experiment.task
    return metric_of(
        experiment.measure, name, experiment.metrics, task=task.name, answer=task.answer
    )


def directionless(metric: str) -> str:
    """Why nothing can be better or worse in a metric, for the messages that refuse it."""
    siblings: list[str] = []
    for name in registry.measures.names():
        entries = registry.measures.get(name).entries()
        if any(each.name == metric for each in entries):
            siblings += [each.name for each in entries if each.good != "neither"]
    directed = f" ({' or '.join(siblings)} has)" if siblings else ""
    return f"{metric} has no better or worse, only higher and lower{directed}"
