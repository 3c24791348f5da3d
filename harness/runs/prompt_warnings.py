"""What a reader of a plan or a report must know of a case's prompts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from harness.errors import TaskError
from harness.models.loading import load_config
from harness.runs.plan import Plan
from harness.runs.planned_case import PlannedCase
from harness.runs.prompt_styles import styles_of
from harness.spec import Experiment
from harness.tasks import templates
from harness.tasks.base import Conversation, Task

#: How they begin; what was recorded of a run keeps them.
_MOMENT, _ROOM = "prompts depend on", "sampling.max_new_tokens: "
BEGINNINGS = (_MOMENT, _ROOM)


def prompt_warnings(case: PlannedCase, plan: Plan) -> Iterator[str]:
    """That prompts are other ones at another time, and that they leave less room than asked for."""
    yield from moment_warnings(case.experiment, case.task, plan.tokenizer)
    yield from _room(case, plan)


def moment_warnings(experiment: Experiment, task: Task, tokenizer: Any) -> Iterator[str]:
    """That a chat template prints when it is used; once, whatever the style."""
    for style in styles_of(experiment):
        try:
            prompt = task.prompt(task.samples[0], style)
        except TaskError:
            continue  # as its case is told
        told = templates.clock(tokenizer, prompt) if isinstance(prompt, Conversation) else None
        if told is not None:
            day = f"{templates.started():%Y-%m-%d}"
            yield (
                f"{_MOMENT} {told}, which the chat template prints: a run that is started on "
                f"another day asks otherwise and finds nothing stored; pin it by prompt.date: {day}"
            )
            return


def _room(case: PlannedCase, plan: Plan) -> Iterator[str]:
    asked = case.experiment.sampling.max_new_tokens
    config = load_config(case.experiment.model).get_text_config()
    context = getattr(config, "max_position_embeddings", None)  # some models have no end
    if context is None or case.measure.reads:
        return
    lengths = [plan.prompt_length(case, sample) for sample in case.task.samples]
    crowded = [length for length in lengths if 0 < length < context < length + asked]
    if crowded:
        yield (
            f"{_ROOM}{asked} is more than {len(crowded)} of {len(lengths)} prompts leave of the "
            f"model's context of {context}; answers end there, after {context - max(crowded)} "
            "tokens in the narrowest"
        )
