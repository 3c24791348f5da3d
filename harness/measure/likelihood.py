"""`measure: likelihood`: how likely a reference answer is, and whether wrong ones are less so.

    reference_nll     nats per token: the mean over the answer's tokens that are not blank
    reference_greedy  the share of these tokens that are the model's most probable ones
    choice_accuracy   1 where the whole reference is more probable than with every wrong answer

The answer stands in its frame, as models write it in chats; the frame is read and does not count in
the first two. Behind a bare prompt it stands alone, after a blank if the prompt ends in none.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from harness.engines.contract import Scored
from harness.errors import TaskError
from harness.measure.readings import reference_tokens
from harness.spec.measure import Measure
from harness.tasks.base import Reference, Sample, Style, Task


@dataclass(frozen=True, slots=True)
class Choices:
    """The reference continuation of a sample in tokens, and behind it the wrong ones.

    `measured` are the indices of the reference answer's non-blank tokens. The context is the
    prompt.
    """

    continuations: tuple[tuple[int, ...], ...]
    measured: tuple[int, ...]
    context: None = None


def choices_of(tokenizer: Any, task: Task, sample: Sample, style: Style) -> Choices:
    """What is scored of a sample behind its prompt in a style.

    Raises:
        TaskError: the reference answer has no token that is not blank.
    """
    reference = _placed(task, sample, style)
    right = reference_tokens(tokenizer, reference)
    if not right.positions:
        raise TaskError(f"{sample.id}: the reference answer has no tokens to measure")
    wrong = [replace(reference, answer=answer) for answer in task.distractors(sample)]
    others = (reference_tokens(tokenizer, each).tokens for each in wrong)
    return Choices((right.tokens, *others), right.positions)


def sample_metrics(choices: Choices, scored: Scored) -> dict[str, float]:
    """One sample's metrics; a wrong choice as likely as the reference counts against it."""
    own, greedy = scored.log_probabilities[0], scored.greedy[0]
    metrics = {
        "reference_nll": -fmean(own[index] for index in choices.measured),
        "reference_greedy": fmean(greedy[index] for index in choices.measured),
    }
    right, *wrong = map(sum, scored.log_probabilities)
    if wrong:
        metrics["choice_accuracy"] = float(right > max(wrong))
    return metrics


def _placed(task: Task, sample: Sample, style: Style) -> Reference:
    reference = task.reference(sample)
    if style != "completion":
        return reference
    prompt = task.prompt(sample, style)
    assert isinstance(prompt, str), "a bare prompt is text"
    blank = "" if not prompt or prompt[-1].isspace() else " "
    return Reference(blank, reference.answer, "")


MEASURE = Measure(
    "likelihood",
    "likelihoods",
    "how likely the reference answer is behind its prompt",
    asks=choices_of,
    values=sample_metrics,
    metrics="harness.metrics.likelihood:METRICS",
    styles="harness.runs.prompt_styles:asked_styles",
    fixed={"sampling": "likelihoods draw nothing; leave it out"},
)
