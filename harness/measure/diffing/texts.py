"""The texts that two models are compared on: their tokens, and the positions that count.

A record's `text` is read from its beginning, with what the tokenizer puts in front of a text: its
first `n` tokens. A sample without one is a conversation: the last 3 tokens in front of its answer
and the answer's first `n`. A text that has fewer tokens is dropped, so that every position is a
mean over the same texts.

Source: science-of-finetuning/diffing-toolkit, whose numbers these are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from harness.errors import FieldError
from harness.tasks.base import Sample, Style, Task
from harness.tasks.conversations import render

#: Tokens in front of an answer that are read, and the longest prompt of a conversation.
BEFORE_ANSWER = 3
_LONGEST_PROMPT = 512
#: Characters per token up to which a text is encoded; no token needs more of them.
_CHARACTERS = 10


@dataclass(frozen=True)
class Text:
    """A text: the id of its sample, its tokens, and the positions of them that count."""

    sample: str
    tokens: tuple[int, ...]
    positions: tuple[int, ...]


@dataclass(frozen=True)
class Texts:
    """The texts of a case; all have as many positions, whose names are `labels`."""

    texts: tuple[Text, ...]
    labels: tuple[int, ...]
    dropped: int

    def __len__(self) -> int:
        return len(self.texts)


def texts_of(
    tokenizer: Any, task: Task, style: Style, *, count: int | None, length: int, seed: int
) -> Texts:
    """Up to `count` texts of a task, drawn by a seed, with `length` tokens of each.

    Raises:
        FieldError: no text is as long.
    """
    samples = list(task.samples)
    Random(seed).shuffle(samples)
    plain = isinstance(samples[0].record.get("text"), str)
    found: list[Text] = []
    dropped = 0
    for sample in samples:
        if count is not None and len(found) == count:
            break
        text = _plain(tokenizer, sample, length) if plain else None
        text = text if plain else _answer(tokenizer, task, sample, style, length)
        if text is None:
            dropped += 1
        else:
            found.append(text)
    if not found:
        raise FieldError(
            "diff.positions", f"none of {len(samples)} texts has {length} tokens; lower it"
        )
    labels: Sequence[int] = range(length) if plain else range(-BEFORE_ANSWER, length)
    return Texts(tuple(found), tuple(labels), dropped)


def _plain(tokenizer: Any, sample: Sample, length: int) -> Text | None:
    text = str(sample.record["text"])[: _CHARACTERS * length]
    tokens = tuple(tokenizer(text)["input_ids"])[:length] if text.strip() else ()
    return Text(sample.id, tokens, tuple(range(length))) if len(tokens) == length else None


def _answer(tokenizer: Any, task: Task, sample: Sample, style: Style, length: int) -> Text | None:
    prompt = tuple(render(tokenizer, task.prompt(sample, style)))
    reference = task.reference(sample).text
    answer = tuple(tokenizer(reference, add_special_tokens=False)["input_ids"])[:length]
    if len(prompt) > _LONGEST_PROMPT or len(prompt) < BEFORE_ANSWER or len(answer) < length:
        return None
    first = len(prompt) - BEFORE_ANSWER
    return Text(sample.id, prompt + answer, tuple(range(first, len(prompt) + length)))
