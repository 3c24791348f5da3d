"""The tasks of a run, each loaded once and shared by all cases that ask it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from functools import cache
from pathlib import Path
from typing import TypeAlias

from harness.errors import FieldError
from harness.files.given import is_file
from harness.spec import Experiment, PromptSettings, TaskSettings
from harness.tasks.base import Task
from harness.tasks.by_name import limited, load, read_ids
from harness.tasks.data.task import own_task
from harness.tasks.lm_eval import task as lm_eval

_USUAL = PromptSettings()
_Files: TypeAlias = tuple[int, ...]


def task_of(
    settings: TaskSettings, prompt: PromptSettings = _USUAL, *, unsafe_code: bool = False
) -> Task:
    """The task as a spec limits it, ready to be scored here; the same object for equal settings.

    Of `prompt` it takes the day, and the templates by which one's own data are asked.
    """
    if settings.lm_eval is not None:
        _check_asked_by_lm_eval(prompt)
    only = None if settings.only is None else read_ids(settings.only)
    text, files = settings.model_dump_json(), _files(settings)
    return _on(prompt.day, _ready(text, _asked(prompt), files, only, unsafe_code))


def full_task(settings: TaskSettings, prompt: PromptSettings = _USUAL) -> Task:
    """The same task with all samples, for measurements that choose their own."""
    return _on(prompt.day, _load(_whole(settings), _asked(prompt), _files(settings)))


def data_of(experiment: Experiment) -> str:
    """What decides all samples of an experiment and what is asked of them, as a text."""
    return f"{_whole(experiment.task)} {_asked(experiment.prompt)}"


def _check_asked_by_lm_eval(prompt: PromptSettings) -> None:
    """Raise FieldError for what of a prompt's settings lm-eval has no use for."""
    for field in ("template", "pairs", "date"):
        if getattr(prompt, field) is not None:
            raise FieldError(
                f"prompt.{field}",
                "means nothing to a task of lm-eval's, whose YAML says how it asks; leave it out",
            )


def _asked(prompt: PromptSettings) -> str:
    """What of a prompt's settings decides a task, as a text that can be looked up."""
    return prompt.model_dump_json(include={"template", "system"})


def _whole(settings: TaskSettings) -> str:
    return settings.model_dump_json(exclude={"limit", "only"})


def _files(settings: TaskSettings) -> _Files:
    """When the files of a task were written: another time makes it another task."""
    shots = None if settings.shots is None else settings.shots.path
    paths = [settings.path, settings.lm_eval, shots]
    return tuple(Path(path).stat().st_mtime_ns for path in paths if path and is_file(path))


@cache
def _on(day: date | None, task: Task) -> Task:
    return task if day is None else replace(task, date=day)


@cache
def _ready(
    text: str,
    asked: str,
    files: _Files,
    only: tuple[str, ...] | None,
    unsafe_code: bool,  # noqa: FBT001
) -> Task:
    settings = TaskSettings.model_validate_json(text)
    if settings.lm_eval is not None:
        of_lm_eval = lm_eval.own_task(settings, only, unsafe_code=unsafe_code)
        return of_lm_eval.scored_here(unsafe_code=unsafe_code)
    task = limited(_load(_whole(settings), asked, files), limit=settings.limit, only=only)
    return task.scored_here(unsafe_code=unsafe_code)


@cache
def _load(text: str, asked: str, files: _Files) -> Task:
    del files  # what was read before is read again where they are others
    settings = TaskSettings.model_validate_json(text)
    prompt = PromptSettings.model_validate_json(asked)
    if settings.lm_eval is not None:
        return lm_eval.own_task(settings)
    if settings.name is None:
        return own_task(settings, prompt)
    for field in ("template", "system"):
        if getattr(prompt, field) is not None:
            raise FieldError(
                f"prompt.{field}",
                f"is for one's own data, and {settings.name} has prompts of its own; leave it out, "
                "or give the records by task.path without a name",
            )
    return load(settings.name, path=settings.path)
