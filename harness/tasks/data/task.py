"""A task of one's own data: records are asked as the spec says, and scored if it says how.

Its version is made of the content of its data and of how they are scored, so that reports of other
data are not compared with it, whatever they are called. Prompts are settings: they may be compared.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness import registry
from harness.errors import FieldError, TaskError
from harness.spec import PromptSettings, TaskSettings
from harness.tasks.answers import pattern
from harness.tasks.answers.kind import AnswerKind
from harness.tasks.base import (
    TOOL_CALL,
    Conversation,
    Reference,
    Sample,
    Score,
    Style,
    Task,
    common_rates,
    texts_of,
)
from harness.tasks.conversations import calls_tool
from harness.tasks.data.prompts import (
    BLANK_LINE,
    Asked,
    Prompts,
    Shots,
    answer_text,
    bare,
    shots_of,
)
from harness.tasks.data.records import DataRecord, own_records
from harness.tasks.data.templates import RecordTemplate
from harness.tasks.reasoning import without_reasoning


@dataclass(frozen=True, eq=False, kw_only=True)
class DataTask(Task):
    """Records of one's own: `asked` by their ids, scored by a kind of answer, if any."""

    name: str
    version: int = 1  # of the class: its verdicts are kept
    metric: str
    asked: Mapping[str, Asked]
    kind: AnswerKind | None
    pattern: str | None
    shots: Shots | None

    @property
    def isolated_by(self) -> str | None:
        """The kind's layers, where it runs answers."""
        return None if self.kind is None else self.kind.isolated_by

    @property
    def conditions(self) -> Mapping[str, Any]:
        """The kind of answer with its version and conditions, and the spec's pattern."""
        if self.kind is None:
            return {}
        own = {"answer": self.kind.name, "version": self.kind.version, "pattern": self.pattern}
        return {**self.kind.conditions, **own}

    def prompt(self, sample: Sample, style: Style) -> Conversation | str:
        """What is asked, behind the system text and the worked examples.

        Raises TaskError for the agentic style, and for turns in bare style.
        """
        if style == "agentic":
            raise TaskError(
                f"prompt.style agentic: {self.name} has no file that a tool call could read; use "
                "assisted, or write the calls as messages of the records"
            )
        asked = self.asked[sample.id]
        shots = [] if self.shots is None else self.shots.drawn(sample.id, asked)
        if style == "completion":
            before = [asked.system] if asked.system else []
            return BLANK_LINE.join([*before, *(shot.text for shot in shots), bare(asked)])
        system = ({"role": "system", "content": asked.system},) if asked.system else ()
        turns = (turn for shot in shots for turn in shot.turns)
        return Conversation((*system, *turns, *asked.turns), date=self.date)

    def texts(self, sample: Sample) -> Iterator[str]:
        """What the record itself asks: neither the system text nor the worked examples."""
        asked = self.asked[sample.id]
        yield from texts_of(Conversation(asked.turns) if asked.bare is None else asked.bare)

    def reference(self, sample: Sample) -> Reference:
        """The gold answer. Raises TaskError where there is none that could be said."""
        found = None
        if self.kind is not None:
            found = self.kind.reference(sample.record)
        elif (text := answer_text(sample.record, None)) is not None:
            found = Reference("", text, "")
        if found is None:
            raise TaskError(f"{sample.id}: has no answer that a model could say")
        return found

    def distractors(self, sample: Sample) -> tuple[str, ...]:
        """The wrong choices."""
        return () if self.kind is None else self.kind.distractors(sample.record)

    def gold(self, sample: Sample) -> int:
        """Where the right choice stands among them."""
        return 0 if self.kind is None else self.kind.gold(sample.record)

    def scored_here(self, *, unsafe_code: bool) -> DataTask:
        """With a kind that was found to score these samples here."""
        if self.kind is None:
            return self
        return replace(self, kind=self.kind.ready(self.samples, unsafe_code=unsafe_code))

    def stop_strings(self, style: Style) -> tuple[str, ...]:
        """The kind's; behind worked examples in bare style, the blank line that ends one."""
        own = () if self.kind is None else self.kind.stop_strings(style)
        if style == "completion" and self.shots is not None and not own:
            return (BLANK_LINE,)
        return own

    def score(self, answers: Sequence[tuple[Sample, Style, str]]) -> list[Score]:
        """By the kind, of what the pattern finds in each; without a kind nothing is right or wrong.

        Without it a score is not settled, so that none is kept.
        """
        if self.kind is None:
            return [
                Score(None, parsed=True, tool_call=calls_tool(text), settled=False)
                for _, _, text in answers
            ]
        if self.pattern is None:
            return self.kind.score(answers)
        found = [_matched(self.pattern, text) for _, _, text in answers]
        scores = iter(
            self.kind.score(
                [
                    (sample, style, part)
                    for (sample, style, _), part in zip(answers, found, strict=True)
                    if isinstance(part, str)
                ]
            )
        )
        return [
            replace(next(scores) if isinstance(part, str) else part, tool_call=calls_tool(text))
            for (_, _, text), part in zip(answers, found, strict=True)
        ]

    def metrics(self, scores: Sequence[Score]) -> dict[str, float]:
        """The kind's; without one there are no right answers, and none that could not be read."""
        if self.kind is None:
            return {TOOL_CALL: common_rates(scores)[TOOL_CALL]}
        return self.kind.metrics(scores)


def _matched(expression: str, text: str) -> str | Score:
    """What the spec's pattern finds in an answer, or the score of one in which it finds nothing."""
    try:
        found = pattern.last(expression, without_reasoning(text))
    except TimeoutError:
        detail = f"task.pattern took more than {pattern.SECONDS:g} s"
        return Score(correct=False, parsed=False, detail=detail, settled=False)
    if found is None:
        return Score(correct=False, parsed=False, detail="task.pattern is not found in it")
    return found


def own_task(settings: TaskSettings, prompt: PromptSettings) -> DataTask:
    """The task that a spec makes of its own data, with all samples.

    Raises:
        TaskError: data that cannot be read, asked or scored, by their line.
        FieldError: a field of the spec that does not fit them.
    """
    kind: AnswerKind | None = None
    if settings.answer is not None:
        kind = registry.answers.get(settings.answer)
    if settings.pattern is not None:
        try:
            pattern.compiled(settings.pattern)
        except ValueError as error:
            raise FieldError("task.pattern", str(error)) from error
    prompts = Prompts(
        _template("prompt.template", prompt.template), _template("prompt.system", prompt.system)
    )
    templated = prompts.template is not None
    records = own_records(settings, kind, templated=templated)
    asked = {record.id: prompts.asked(record, kind) for record in records}
    return DataTask(
        samples=tuple(Sample(record.id, record.content) for record in records),
        name=settings.title,
        version=_version(records, kind, settings.pattern),
        metric="" if kind is None else kind.metric,
        asked=asked,
        kind=kind,
        pattern=settings.pattern,
        shots=_shots(settings, prompts, kind, records, asked),
    )


def asked_of_text(
    task: DataTask, prompt: PromptSettings, text: str, place: str
) -> Conversation | str:
    """What a run would ask of a record that says nothing but this text.

    It is the field that the template reads, or the record's prompt. Raises FieldError for a
    template or a system message that reads more.
    """
    prompts = Prompts(
        _template("prompt.template", prompt.template), _template("prompt.system", prompt.system)
    )
    fields = {"prompt"} if prompts.template is None else prompts.template.fields
    if len(fields) != 1:
        words = ", ".join(sorted(fields)) or "no field"
        problem = f"reads {words} of a record, and {place} is one; use a template of one field"
        raise FieldError("prompt.template", problem)
    record = DataRecord(place, place, dict.fromkeys(fields, text))
    alone = replace(task, asked={place: prompts.asked(record, task.kind)})
    return alone.prompt(Sample(place, record.content), prompt.style)


def _template(field: str, source: str | None) -> RecordTemplate | None:
    return None if source is None else RecordTemplate(field, source)


def _shots(
    settings: TaskSettings,
    prompts: Prompts,
    kind: AnswerKind | None,
    records: Sequence[DataRecord],
    asked: Mapping[str, Asked],
) -> Shots | None:
    """The worked examples that are drawn from. Raises FieldError where some sample lacks them."""
    wanted = settings.shots
    if wanted is None:
        return None
    pool = records
    if wanted.path is not None:
        templated = prompts.template is not None
        pool = own_records(settings, kind, templated=templated, path=wanted.path)
    answer = _template("task.shots.answer", wanted.answer)
    shots = Shots(wanted.n, wanted.seed, shots_of(pool, prompts, kind, answer))
    left = {name: shots.left(each) for name, each in asked.items()}
    fewest = min(left, key=left.__getitem__)
    if left[fewest] < wanted.n:
        raise FieldError(
            "task.shots.n",
            f"{wanted.n} examples asked for, but {wanted.path or settings.title} has "
            f"{left[fewest]} that ask something else than {fewest}; use {left[fewest]} at most",
        )
    return shots


def _version(records: Sequence[DataRecord], kind: AnswerKind | None, expression: str | None) -> int:
    """A number that changes with the data and with how they are scored: 28 bits of a SHA-256."""
    scored = None if kind is None else [kind.name, kind.version, expression]
    contents = [[record.id, dict(record.content)] for record in records]
    text = json.dumps([scored, contents], sort_keys=True, default=repr)
    return int(hashlib.sha256(text.encode()).hexdigest()[:7], 16)
