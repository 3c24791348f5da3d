"""Tasks by the name that a spec gives them.

A task is an entry of `harness.registry.tasks`: a class whose classmethod `load` gives it with all
its samples, by a parameter `path` of a data file where it reads one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from inspect import signature
from typing import Any

from harness import registry
from harness.errors import FieldError, RegistryError
from harness.files.given import json_value
from harness.tasks.base import Task


def load(
    name: str,
    *,
    limit: int | None = None,
    path: str | None = None,
    only: Sequence[str] | None = None,
) -> Task:
    """A registered task with some of its samples; `path` replaces a data set's usual source."""
    return limited(_registered(name, path), limit=limit, only=only)


def limited(task: Task, *, limit: int | None = None, only: Sequence[str] | None = None) -> Task:
    """A task with its first `limit` samples.

    With `only`, the samples of these ids in this order, before the limit.
    """
    if only is not None:
        task = _only(task, only)
    return task if limit is None else _first(task, limit)


def _registered(name: str, path: str | None) -> Task:
    try:
        made = registry.tasks.get(name)
    except RegistryError as error:
        raise FieldError("task.name", str(error)) from error
    if not _reads_files(made):
        if path is not None:
            others = (other for other in registry.tasks.names() if other != name)
            reading = ", ".join(each for each in others if _reads_files(registry.tasks.get(each)))
            problem = f"{path} is not used: {name} generates its samples"
            raise FieldError("task.path", f"{problem}; leave it out, or use {reading}")
        generated: Task = made.load()
        return generated
    read: Task = made.load(path)
    return read


def _reads_files(made: type[Task]) -> bool:
    """Whether a task's `load` takes the path of a data file, None for its usual source."""
    load: Any = made.load  # type: ignore[attr-defined]  # a classmethod of each, with or without
    return "path" in signature(load).parameters


def _first(task: Task, limit: int) -> Task:
    if not 1 <= limit <= task.size:
        problem = f"{limit} samples asked for, but {task.name} has {task.size}"
        raise FieldError("task.limit", f"{problem}; use 1 to {task.size}, or leave it out")
    return replace(task, samples=task.samples[:limit])


def _only(task: Task, ids: Sequence[str]) -> Task:
    for each in ids:
        if each not in task.by_id:
            problem = f"{each!r} is not a sample of {task.name}"
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
        raise FieldError(
            "task.only", f'{path}: is not a list of sample ids; write ["GSM8K/0", ...]'
        )
    if len(set(ids)) != len(ids):
        twice = next(each for each in ids if ids.count(each) > 1)
        raise FieldError("task.only", f"{path}: {twice!r} is in the list twice; remove one")
    return tuple(ids)
