"""The prompt styles that an experiment reads, tried on its model's chat template before a run.

Every style that a case asks in, or measures in, is rendered for one sample: a template that refuses
it or leaves out what is asked is found before any weights are loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from harness.engines import tokenizer_for
from harness.errors import FieldError, TaskError, TemplateError
from harness.interventions.kind import kind_of
from harness.spec import EngineSettings, Experiment
from harness.spec.measure import measure_named
from harness.tasks.base import Conversation, Style, Task
from harness.tasks.conversations import render_text

#: An engine whose tokens are those of the model's own files.
_OWN = EngineSettings()


def styles_of(experiment: Experiment) -> Mapping[Style, str]:
    """The styles in which a task's own prompts are read, with the field that asks for each."""
    return measure_named(experiment.measure).styles_of(experiment)


def asked_styles(experiment: Experiment) -> Mapping[Style, str]:
    """Those of a case that asks for completions: its own, and those that its ordering reads."""
    if experiment.prompt.pairs is not None:
        return {}
    styles: dict[Style, str] = {experiment.prompt.style: "prompt.style"}
    settings = experiment.intervention
    if settings is not None:
        read = kind_of(settings.kind).resolution.styles(experiment, settings)
        styles |= {style: field for style, field in read.items() if style not in styles}
    return styles


def check_styles(experiment: Experiment, task: Task) -> None:
    """Raise `FieldError` for a style that the model's chat template does not render whole."""
    for style, field in styles_of(experiment).items():
        problem = _problem(experiment.model, experiment.engine, task, style)
        if problem is not None:
            raise FieldError(field, _told(problem, field))


@cache
def _problem(model: str, engine: EngineSettings, task: Task, style: Style) -> TaskError | None:
    try:
        prompt = task.prompt(task.samples[0], style)
        if isinstance(prompt, Conversation):
            render_text(tokenizer_of(model, engine), prompt)
    except TaskError as error:
        return error
    return None


def _told(problem: TaskError, field: str) -> str:
    """The message, with another remedy where it is not the spec's own style that asks for this."""
    told = str(problem)
    if isinstance(problem, TemplateError) and field != "prompt.style":
        other = (
            f"use another {field.rpartition('.')[2]}" if problem.has_one else f"leave {field} out"
        )
        told = f"{problem.fault}; {other}, or use a model whose chat template renders it"
    return told.removeprefix("prompt.style ")


@cache
def tokenizer_of(model: str, engine: EngineSettings = _OWN) -> Any:
    """The tokenizer that prompts are made by, for what is found out before a run; loaded once."""
    return tokenizer_for(model, engine)
