"""What lm-eval's metrics are called here, what they are, and how a group makes one number of them.

    acc,none                       acc
    exact_match,strict-match       exact_match@strict-match
    acc,none of a task in a group  acc@TASK

`acc` of a group is over all of its documents, by the group's own rule.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from harness.spec.metric import Good
from harness.tasks.base import TaskMetric
from harness.tasks.lm_eval.loading import Loaded

_DEFAULT_FILTER = "none"
#: Metrics whose values lie between 0 and 1 for every document, by lm-eval's names.
_RATES = re.compile(
    r"(acc|acc_norm|acc_bytes|acc_mutual_info|exact_match|em|math_verify|pass_at_\w+|pass@\d+"
    r"|pass_at_1|prompt_level_\w+_acc)"
)


@dataclass(frozen=True)
class LmEvalMetric:
    """A metric of ours: the values of one metric of lm-eval's, by one filter, of some tasks.

    `by_task` says whether a value has its task beside it, because the number of a group is made of
    those of its tasks.
    """

    metric: str
    filter: str
    tasks: tuple[str, ...]
    stated: TaskMetric
    by_task: bool = False


def metrics_of(loaded: Loaded) -> Mapping[str, LmEvalMetric]:
    """The metrics of a task, or of a group: the group's own first, then those of its tasks."""
    found: dict[str, LmEvalMetric] = {}
    alone = len(loaded.tasks) == 1 and not loaded.groups
    for group in loaded.groups.values():
        for name, each in _of_group(group, loaded):
            found.setdefault(name if group is _root(loaded) else f"{name}@{safe(group.name)}", each)
    for task_name, task in loaded.tasks.items():
        for filter_name in _filters(task):
            for metric in task.aggregation():
                stated = stated_as(task, task_name, metric, partial=not alone)
                name = named(metric, filter_name)
                own = name if alone else f"{name}@{safe(task_name)}"
                found[own] = LmEvalMetric(metric, filter_name, (task_name,), stated)
    return found


def named(metric: str, filter_name: str) -> str:
    """What a metric by a filter is called."""
    name = safe(metric)
    return name if filter_name == _DEFAULT_FILTER else f"{name}@{safe(filter_name)}"


def safe(name: str) -> str:
    """A name as gates and rules can write it."""
    cleaned = re.sub(r"[^A-Za-z0-9_@-]", "_", name)
    return cleaned if re.match(r"[A-Za-z_]", cleaned) else f"_{cleaned}"


def stated_as(task: Any, task_name: str, metric: str, *, partial: bool = False) -> TaskMetric:
    """What a metric of a task is; the aggregate of one that lm-eval has no rule for is the mean."""
    aggregate = aggregate_name(task, task_name, metric)
    higher = task.higher_is_better().get(metric)
    good: Good = "neither" if higher is None else "higher" if higher else "lower"
    return stated_by(metric, good, aggregate, partial=partial)


def stated_by(metric: str, good: Good, aggregate: str, *, partial: bool = False) -> TaskMetric:
    """The same of a metric whose direction and aggregate are known."""
    rate = aggregate == "mean" and _RATES.fullmatch(metric) is not None
    return TaskMetric(
        f"lm-eval's {metric}" + ("" if aggregate == "mean" else f", by {aggregate}"),
        good,
        "rate" if rate else "score",
        (0, 1) if rate else (None, None),
        aggregate,
        partial,
    )


def aggregate_name(task: Any, task_name: str, metric: str) -> str:
    """An aggregate by lm-eval's name for it; a function of a task file's own by the task's."""
    from lm_eval.api.registry import AGGREGATION_REGISTRY

    function = task.aggregation().get(metric)
    if function is None:
        return "mean"
    names = {each: name for name, each in AGGREGATION_REGISTRY.items()}
    return names.get(function) or f"{getattr(function, '__name__', 'function')} of {task_name}"


def _root(loaded: Loaded) -> Any:
    """The group that holds all others."""
    members = {
        sub.name for group in loaded.groups.values() for sub in group.get_all_groups(recursive=True)
    }
    return next(group for name, group in loaded.groups.items() if name not in members)


def _of_group(group: Any, loaded: Loaded) -> Iterator[tuple[str, LmEvalMetric]]:
    """A group's own metrics: where its tasks have a mean and count by size, that is the mean."""
    leaves = [task.task_name for task in group.get_all_tasks()]
    for asked in group.aggregate_metric_list or []:
        with_it = [name for name in leaves if asked.metric in loaded.tasks[name].aggregation()]
        filters = asked.filter_list or sorted(
            {each for name in with_it for each in _filters(loaded.tasks[name])}
        )
        for filter_name in [filters] if isinstance(filters, str) else filters:
            own = tuple(n for n in with_it if filter_name in _filters(loaded.tasks[n]))
            if not own:
                continue
            first = stated_as(loaded.tasks[own[0]], own[0], asked.metric)
            plain = first.aggregate == "mean" and asked.weight_by_size
            weighed = "weighted by size" if asked.weight_by_size else "each alike"
            aggregate = first.aggregate if plain else f"{first.aggregate} by task, {weighed}"
            whole = len(own) == len(loaded.tasks)
            stated = stated_by(asked.metric, first.good, aggregate, partial=not whole)
            yield (
                named(asked.metric, filter_name),
                LmEvalMetric(asked.metric, filter_name, own, stated, by_task=not plain),
            )


def _filters(task: Any) -> list[str]:
    return [each.name for each in task._filters]  # noqa: SLF001 - lm-eval tells them nowhere else
