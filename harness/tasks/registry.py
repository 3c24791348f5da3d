"""Tasks by the name that a spec gives them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from inspect import getdoc

from harness.errors import FieldError
from harness.files.given import json_value
from harness.tasks.base import Task
from harness.tasks.gsm8k import GSM8K
from harness.tasks.humaneval import HumanEval
from harness.tasks.micro_gsm8k import MicroGSM8K
from harness.tasks.micro_humaneval import MicroHumanEval

_FROM_FILES: dict[str, Callable[[str | None], Task]] = {
    HumanEval.name: HumanEval.load,
    GSM8K.name: GSM8K.load,
}
_GENERATED: dict[str, Callable[[], Task]] = {
    MicroHumanEval.name: MicroHumanEval.load,
    MicroGSM8K.name: MicroGSM8K.load,
}


def names() -> tuple[str, ...]:
    """The names that `load` knows."""
    return (*_GENERATED, *_FROM_FILES)


def summaries() -> dict[str, str]:
    """A line for each task: the first of its class's docstring."""
    classes = (MicroHumanEval, MicroGSM8K, HumanEval, GSM8K)
    return {task.name: (getdoc(task) or "").partition("\n")[0] for task in classes}


def load(
    name: str,
    *,
    limit: int | None = None,
    path: str | None = None,
    only: Sequence[str] | None = None,
) -> Task:
    """A task with its first `limit` samples; `path` replaces a data set's usual source.

    With `only`, the samples of these ids in this order, before the limit.
    """
    if name in _FROM_FILES:
        task = _FROM_FILES[name](path)
    elif name not in _GENERATED:
        known = ", ".join(names())
        raise FieldError("task.name", f"{name!r} is not a task; use one of {known}")
    elif path is not None:
        reading = ", ".join(_FROM_FILES)
        problem = f"{path} is not used: {name} generates its samples"
        raise FieldError("task.path", f"{problem}; leave it out, or use {reading}")
    else:
        task = _GENERATED[name]()
    if only is not None:
        task = _only(task, only)
    return task if limit is None else _first(task, limit)


def _first(task: Task, limit: int) -> Task:
    if not 1 <= limit <= task.size:
        problem = f"{limit} samples asked for, but {task.name} has {task.size}"
        raise FieldError("task.limit", f"{problem}; use 1 to {task.size}, or leave it out")
    return replace(task, samples=task.samples[:limit])


def _only(task: Task, ids: Sequence[str]) -> Task:
    for each in ids:
        if each not in task.by_id:
            problem = f"{each!r} is no sample of {task.name}"
            raise FieldError("task.only", f"{problem}, whose first is {task.samples[0].id!r}")
    return replace(task, samples=tuple(task.by_id[each] for each in ids))


def read_ids(path: str) -> tuple[str, ...]:
    """The sample ids of a JSON file; raises `FieldError` for one that is not a list of them."""
    try:
        ids = json_value(path)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise FieldError("task.only", f"{path}: cannot be read as JSON: {why}") from error
    if not isinstance(ids, list) or not ids or not all(isinstance(each, str) for each in ids):
        raise FieldError("task.only", f'{path}: is no list of sample ids; write ["GSM8K/0", ...]')
    if len(set(ids)) != len(ids):
        twice = next(each for each in ids if ids.count(each) > 1)
        raise FieldError("task.only", f"{path}: {twice!r} is in the list twice; remove one")
    return tuple(ids)
