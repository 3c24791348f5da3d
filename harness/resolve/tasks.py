"""The tasks of a run, each loaded once and shared by all cases that ask it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from functools import cache

from harness.spec import TaskSettings
from harness.tasks.base import Task
from harness.tasks.by_name import load, read_ids


def task_of(settings: TaskSettings, day: date | None = None, *, unsafe_code: bool = False) -> Task:
    """The task as a spec limits it, ready to be scored here; the same object for equal settings.

    `day` is that of `prompt.date`.
    """
    only = None if settings.only is None else read_ids(settings.only)
    return _on(day, _ready(settings.name, settings.limit, settings.path, only, unsafe_code))


def full_task(settings: TaskSettings, day: date | None = None) -> Task:
    """The same task with all samples, for measurements that choose their own."""
    return _on(day, _load(settings.name, None, settings.path, None))


@cache
def _on(day: date | None, task: Task) -> Task:
    return task if day is None else replace(task, date=day)


@cache
def _ready(
    name: str,
    limit: int | None,
    path: str | None,
    only: tuple[str, ...] | None,
    unsafe_code: bool,  # noqa: FBT001
) -> Task:
    return _load(name, limit, path, only).scored_here(unsafe_code=unsafe_code)


@cache
def _load(name: str, limit: int | None, path: str | None, only: tuple[str, ...] | None) -> Task:
    return load(name, limit=limit, path=path, only=only)
