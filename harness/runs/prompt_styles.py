"""The prompt styles that an experiment reads, tried on its model's chat template before a run.

Every style that a case asks in, or measures in, is rendered for one sample: a template that refuses
it or leaves out what is asked is found before any weights are loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from harness.errors import FieldError, TaskError
from harness.models.loading import load_tokenizer
from harness.resolve.resolver import usage_of
from harness.spec import Experiment
from harness.spec.measure import measure_named
from harness.spec.usage_expression import parse
from harness.tasks.base import Conversation, Style, Task
from harness.tasks.conversations import render_text


def styles_of(experiment: Experiment) -> Mapping[Style, str]:
    """The styles in which a task's own prompts are read, with the field that asks for each."""
    return measure_named(experiment.measure).styles_of(experiment)


def asked_styles(experiment: Experiment) -> Mapping[Style, str]:
    """Those of a case that asks for completions: its own, and those that its ordering reads."""
    if experiment.prompt.pairs is not None:
        return {}
    styles: dict[Style, str] = {experiment.prompt.style: "prompt.style"}
    usage = usage_of(experiment)
    if usage is not None:
        expression = parse(usage.usage)
        for average in (expression.plus, expression.minus):
            if average is not None:
                styles.setdefault(average.style, "intervention.points.usage")
    return styles


def check_styles(experiment: Experiment, task: Task) -> None:
    """Raise `FieldError` for a style that the model's chat template does not render whole."""
    for style, field in styles_of(experiment).items():
        problem = _problem(experiment.model, task, style)
        if problem is not None:
            raise FieldError(field, problem)


@cache
def _problem(model: str, task: Task, style: Style) -> str | None:
    prompt = task.prompt(task.samples[0], style)
    if not isinstance(prompt, Conversation):
        return None
    try:
        render_text(tokenizer_of(model), prompt)
    except TaskError as error:
        return str(error).removeprefix("prompt.style ")
    return None


@cache
def tokenizer_of(model: str) -> Any:
    """A model's tokenizer, for what is found out before a run; loaded once."""
    return load_tokenizer(model)
