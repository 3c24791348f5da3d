"""How records of one's own data are asked: system message, worked examples, and what is asked.

In chat styles all of it is turns of one conversation. In bare style it is one text: the system
text, the examples and what is asked, with a blank line between them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from harness.errors import FieldError, TaskError
from harness.tasks.answers.kind import AnswerKind
from harness.tasks.base import Message
from harness.tasks.data.records import DataRecord
from harness.tasks.data.templates import RecordTemplate

#: What stands between two worked examples of a bare prompt, and ends the answer behind them.
BLANK_LINE = "\n\n"


@dataclass(frozen=True)
class Asked:
    """What is asked of one record: turns that end with the user's, and a text for bare style.

    `bare` is None where there is none, because a record has turns.
    """

    turns: tuple[Message, ...]
    bare: str | None
    system: str = ""

    @property
    def content(self) -> str:
        """A text that two records share when the same is asked of them."""
        return json.dumps([self.turns, self.bare], sort_keys=True, default=repr)


@dataclass(frozen=True)
class Shot:
    """A worked example: what is asked, and the answer."""

    asked: Asked
    answer: str

    @property
    def turns(self) -> tuple[Message, ...]:
        """As chat turns."""
        return (*self.asked.turns, {"role": "assistant", "content": self.answer})

    @property
    def text(self) -> str:
        """As bare text."""
        prompt = bare(self.asked)
        return f"{prompt}{blank_behind(prompt)}{self.answer}"


def bare(asked: Asked) -> str:
    """What is asked in bare style. Raises TaskError where it is turns."""
    if asked.bare is None:
        raise TaskError(
            "prompt.style completion needs a text, and the records have messages; write a "
            "prompt.template, or use prompt.style: assisted"
        )
    return asked.bare


def blank_behind(prompt: str) -> str:
    """What separates a bare prompt from its answer."""
    return "" if not prompt or prompt[-1].isspace() else " "


@dataclass(frozen=True)
class Shots:
    """Worked examples to draw from: `n` for each sample, never one that asks what it asks."""

    n: int
    seed: int
    pool: Sequence[Shot]
    _count: Counter[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Count what is asked more than once."""
        object.__setattr__(self, "_count", Counter(shot.asked.content for shot in self.pool))

    def left(self, asked: Asked) -> int:
        """How many there are that ask something else."""
        return len(self.pool) - self._count[asked.content]

    def drawn(self, sample: str, asked: Asked) -> list[Shot]:
        """Those of a sample: the same ones in every run, whichever other samples there are."""
        same = asked.content
        enough = min(len(self.pool), self.n + self._count[same])
        found = Random(f"{self.seed} {sample}").sample(self.pool, enough)
        return [shot for shot in found if shot.asked.content != same][: self.n]


@dataclass(frozen=True)
class Prompts:
    """The templates of a spec, by which records become prompts."""

    template: RecordTemplate | None
    system: RecordTemplate | None

    def asked(self, record: DataRecord, kind: AnswerKind | None) -> Asked:
        """What is asked of a record.

        Raises FieldError for a template that does not fit it, TaskError where nothing is asked.
        """
        content, place = record.content, record.place
        system = "" if self.system is None else self.system.text(content, place)
        if self.template is not None:
            text = self.template.text(content, place)
            return Asked(_turn(text), text, system)
        if content.get("prompt") is None:
            turns = content["messages"]
            if system and turns[0]["role"] == "system":
                raise FieldError(
                    "prompt.system", f"{place}: its messages begin with one; leave one of them out"
                )
            return Asked(tuple(turns), None, system)
        if kind is None:
            return Asked(_turn(content["prompt"]), content["prompt"], system)
        chat, plain = (kind.prompt(content, style) for style in ("assisted", "completion"))
        return Asked(_turn(chat), plain, system)


def shots_of(
    records: Sequence[DataRecord],
    prompts: Prompts,
    kind: AnswerKind | None,
    answer: RecordTemplate | None,
) -> list[Shot]:
    """Worked examples of all records. Raises TaskError for one without an answer to show."""
    return [Shot(prompts.asked(record, kind), _answer(record, kind, answer)) for record in records]


def _answer(record: DataRecord, kind: AnswerKind | None, template: RecordTemplate | None) -> str:
    if template is not None:
        return template.text(record.content, record.place)
    text = answer_text(record.content, kind)
    if text is None:
        raise TaskError(
            f"{record.place}: has no answer that an example could show; write a template as "
            "task.shots.answer"
        )
    return text


def answer_text(content: Mapping[str, Any], kind: AnswerKind | None) -> str | None:
    """The gold answer as a model would write it, if there is one."""
    if kind is not None:
        reference = kind.reference(content)
        return None if reference is None else reference.text
    answer = content.get("answer")
    return str(answer) if isinstance(answer, str | int | float) and answer != "" else None


def _turn(text: str) -> tuple[Message, ...]:
    return ({"role": "user", "content": text},)
