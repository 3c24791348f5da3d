"""`measure: choice`: whether the right one of given answers is the most probable behind the prompt.

    acc         the right answer has the largest log-probability, summed over its tokens
    acc_norm    ... divided by its length in characters
    margin      nats by which the right answer is more probable than every wrong one

The first of equally probable answers is chosen. Behind a bare prompt answers begin with a blank,
unless the prompt ends in one or the answer begins with one; in chats they begin where the model's
turn does, in the frame in which models write them. Minimal pairs are choices behind an empty
prompt.

Source: lm-evaluation-harness 0.4.13, whose `multiple_choice` has `acc` and `acc_norm`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.engines.contract import Scored
from harness.errors import TaskError
from harness.spec.measure import Measure
from harness.tasks.base import Sample, Style, Task
from harness.tasks.behind import behind


@dataclass(frozen=True, slots=True)
class TokenizedChoice:
    """A sample's answers in tokens behind their context, how many characters each has, and which
    one is right.
    """

    context: tuple[int, ...]
    continuations: tuple[tuple[int, ...], ...]
    lengths: tuple[int, ...]
    right: int


def choice_of(tokenizer: Any, task: Task, sample: Sample, style: Style) -> TokenizedChoice:
    """What is scored of a sample behind its prompt in a style.

    Raises:
        TaskError: there is nothing to choose from, or an answer has no character or no token.
    """
    reference, right = task.reference(sample), task.gold(sample)
    choices = list(task.distractors(sample))
    if not choices:
        raise TaskError(f"{sample.id}: there is nothing to choose from; use a task of choices")
    choices.insert(right, reference.answer)
    if "" in choices:
        raise TaskError(f"{sample.id}: choice {choices.index('')} is empty")
    prompt = task.prompt(sample, style)
    if isinstance(prompt, str):
        ended = bool(prompt) and prompt[-1].isspace()
        texts = [text if ended or text[0].isspace() else f" {text}" for text in choices]
    else:
        texts = [replace(reference, answer=text).text for text in choices]
    try:
        found = behind(tokenizer, prompt, texts)
    except TaskError as error:
        raise TaskError(f"{sample.id}: {error}") from error
    return TokenizedChoice(found.context, found.continuations, tuple(map(len, choices)), right)


def sample_metrics(asked: TokenizedChoice, scored: Scored) -> dict[str, float]:
    """One sample's metrics."""
    sums = [sum(values) for values in scored.log_probabilities]
    by_length = [total / length for total, length in zip(sums, asked.lengths, strict=True)]
    wrong = [total for index, total in enumerate(sums) if index != asked.right]
    return {
        "acc": float(_largest(sums) == asked.right),
        "acc_norm": float(_largest(by_length) == asked.right),
        "margin": sums[asked.right] - max(wrong),
    }


def _largest(values: Sequence[float]) -> int:
    """The index of the first of the largest values."""
    return values.index(max(values))


MEASURE = Measure(
    "choice",
    "choices",
    "whether the right one of given answers is the most probable behind its prompt",
    asks=choice_of,
    values=sample_metrics,
    metrics="harness.metrics.choice:METRICS",
    styles="harness.runs.prompt_styles:asked_styles",
    fixed={"sampling": "choices draw nothing; leave it out"},
)
