"""`measure: nll`: nats per token of given texts under the model as it is in the case.

A record's `text` is read as a whole, behind the tokenizer's first token. A sample without one is
read as its reference answer behind its prompt. Every token counts, and all count alike.
"""

from __future__ import annotations

from typing import Any

from pydantic import JsonValue

from harness.engines.contract import Scored
from harness.errors import TaskError
from harness.metrics.nats import nats
from harness.spec.measure import Measure
from harness.tasks.base import Sample, Style, Task
from harness.tasks.behind import Behind, behind


def text_of(tokenizer: Any, task: Task, sample: Sample, style: Style) -> Behind:
    """What is scored of a sample: one continuation.

    Raises:
        TaskError: no token is left to score.
    """
    text = sample.record.get("text")
    try:
        if isinstance(text, str):
            return behind(tokenizer, "", [text])
        return behind(tokenizer, task.prompt(sample, style), [task.reference(sample).text])
    except TaskError as error:
        raise TaskError(f"{sample.id}: {error}") from error


def sample_metrics(asked: Behind, scored: Scored) -> dict[str, JsonValue]:
    """One sample's `[nats, tokens]`."""
    del asked
    return {"nll": nats(scored.log_probabilities)}


MEASURE = Measure(
    "nll",
    "texts",
    "nats per token of given texts, or of reference answers",
    asks=text_of,
    values=sample_metrics,
    metrics="harness.metrics.texts:METRICS",
    styles="harness.runs.prompt_styles:asked_styles",
    fixed={"sampling": "given texts draw nothing; leave it out"},
)
