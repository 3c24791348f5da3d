"""The tasks of a run, each loaded once and shared by all cases that ask it."""

from __future__ import annotations

from functools import cache

from harness.spec import TaskSettings
from harness.tasks.base import Task
from harness.tasks.registry import load


def task_of(settings: TaskSettings) -> Task:
    """The task as a spec limits it; the same object for equal settings."""
    return _load(settings.name, settings.limit, settings.path)


def full_task(settings: TaskSettings) -> Task:
    """The same task without its limit, for measurements that set their own."""
    return _load(settings.name, None, settings.path)


@cache
def _load(name: str, limit: int | None, path: str | None) -> Task:
    return load(name, limit=limit, path=path)
