"""`judge`: what a model says of a completion when it is asked by a rubric, in several rotations.

An answer that cannot be read is UNKNOWN. It is asked again once, with another seed; if that cannot
be read either, the sample has failed. Every answer is stored, recorded and found again as
completions are, so that `says: agreement` and `says: unknown` beside a score ask nothing more.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache, partial
from statistics import fmean
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import (
    JsonValue,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveInt,
    model_validator,
)

from harness import registry
from harness.engines import tokenizer_for
from harness.engines.contract import Asked, Completion, Request
from harness.errors import FieldError, MetricError, ModelError, TaskError
from harness.metrics.entry import Answer, Asker, Asks, MetricEntry, Opening, Seen
from harness.metrics.judging import Judge, alpha
from harness.metrics.kind import Checking, MetricKind
from harness.sampling.chosen import SamplingRules
from harness.spec.engine_kind import engine_named
from harness.spec.experiment import EngineSettings
from harness.spec.metric import MetricSettings
from harness.spec.registered import registered
from harness.spec.settings import ModelReference, SpecPath
from harness.tasks.conversations import render

#: At which an answer is asked for again that could not be read, where the first one was greedy.
_AGAIN = 1.0

_Ratings: TypeAlias = list[list[float | None]]
"""For each completion, what each rotation said; None is UNKNOWN."""


class JudgeMetricSettings(MetricSettings):
    """What a model says of completions."""

    kind: Literal["judge"]
    """The kind of metric is judge: what a model says of every completion."""
    rubric: SpecPath | None = None
    """A Markdown file with the question and what its answers mean (docs/judges.md), relative to the
    folder of the spec. A registered judge asks when it is left out."""
    judge: Annotated[str, registered(registry.judges)] | None = None
    """A registered judge that asks, in place of a rubric. The rubric asks when it is left out."""
    model: ModelReference | None = None
    """The model that is asked. The experiment's own, untouched, when left out."""
    engine: EngineSettings | None = None
    """What runs that model, as the section engine of a spec. When left out, transformers on this
    machine; the experiment's own engine, where the model is its own."""
    rotations: PositiveInt = 1
    """Each completion is judged in so many rotations of the rubric, its orders of options or its
    wordings; 1 by default. Its value is their mean."""
    says: Literal["score", "agreement", "unknown"] = "score"
    """What the metric is. score, the default: the mean of the ratings; agreement: Krippendorff's
    alpha of the rotations; unknown: the share of first answers that could not be read."""
    temperature: NonNegativeFloat = 0.0
    """The temperature at which the judge answers; 0, the default, is greedy decoding."""
    max_new_tokens: PositiveInt = 256
    """How many tokens an answer of the judge has at most; 256 by default."""
    seed: NonNegativeInt = 0
    """The seed of the judge's draws; 0 by default. What could not be read is drawn by the next
    one."""

    @model_validator(mode="after")
    def _one_judge(self) -> Self:
        if (self.rubric is None) == (self.judge is None):
            raise ValueError("rubric or judge says what is asked; give one of them")
        if self.engine is not None and self.model is None:
            raise ValueError("engine runs a model of its own; give model, or leave engine out")
        if self.says == "agreement" and self.rotations < 2:
            raise ValueError(
                f"says: agreement needs ratings to agree, and rotations is {self.rotations}; "
                "raise it"
            )
        return self


def _made(settings: JudgeMetricSettings) -> MetricEntry:
    engines = {}
    if settings.model is not None:
        engines[_name(settings)] = Opening(settings.model, _engine(settings))
    asks = Asks(
        partial(_ask, settings),
        most=2 * settings.rotations,
        again=partial(_ask_again, settings),
        engines=engines,
    )
    by = settings.judge or str(settings.rubric).rpartition("/")[2]
    if settings.says == "agreement":
        return MetricEntry(
            "judge",
            f"Krippendorff's alpha of {settings.rotations} rotations of {by}",
            "higher",
            bounds=(None, 1),
            aggregate=partial(_agreement, settings),
            value=lambda seen: _known(settings, seen),
            asks=asks,
        )
    if settings.says == "unknown":
        return MetricEntry(
            "judge",
            f"share of the judge's first answers by {by} that could not be read",
            "lower",
            bounds=(0, 1),
            value=partial(_unknown, settings),
            asks=asks,
        )
    return MetricEntry(
        "judge",
        f"what a judge says of completions by {by}",
        value=partial(_score, settings),
        asks=asks,
    )


def _ask(settings: JudgeMetricSettings, seen: Seen, asker: Asker) -> list[Asked]:
    """The question about every completion, in every rotation."""
    return [
        _request(settings, seen, asker, answer, rotation)
        for answer in _answered(seen)
        for rotation in range(settings.rotations)
    ]


def _ask_again(settings: JudgeMetricSettings, seen: Seen, asker: Asker) -> list[Asked]:
    """Those whose answers could not be read, with another seed."""
    first = _ask(settings, seen, asker)
    return [
        replace(
            asked,
            seed=settings.seed + 1,
            sampling=SamplingRules(temperature=settings.temperature or _AGAIN),
        )
        for asked, value in zip(first, _values(settings, seen.replies), strict=True)
        if value is None and isinstance(asked, Request)
    ]


def _request(
    settings: JudgeMetricSettings, seen: Seen, asker: Asker, answer: Answer, rotation: int
) -> Request:
    tokenizer = asker.tokenizer
    if settings.model is not None:
        tokenizer = _tokenizer(settings.model, _engine(settings))
    conversation = _judge(settings).conversation(seen, answer, rotation)
    # A base model has no template: it is asked by the bare text of all messages.
    bare = "\n\n".join(str(message["content"]) for message in conversation.messages)
    try:
        prompt = render(tokenizer, conversation if tokenizer.chat_template else bare)
    except TaskError as error:
        raise MetricError(f"the judge cannot be asked: {error}") from error
    rules = SamplingRules(temperature=settings.temperature)
    return Request(
        prompt=tuple(prompt),
        max_new_tokens=settings.max_new_tokens,
        sampling=rules,
        seed=settings.seed if rules.random else 0,
        sample=seen.id,
        engine="" if settings.model is None else _name(settings),
    )


def _ratings(settings: JudgeMetricSettings, seen: Seen) -> _Ratings:
    """What was said of every completion, by the second answers where the first are UNKNOWN."""
    count = len(_answered(seen)) * settings.rotations
    if len(seen.replies) < count:
        raise MetricError("the judge was not asked")
    first = _values(settings, seen.replies[:count])
    second: Iterator[float | None] = iter(_values(settings, seen.replies[count:]))
    said = [next(second, None) if value is None else value for value in first]
    step = settings.rotations
    return [said[begin : begin + step] for begin in range(0, count, step)]


def _known(settings: JudgeMetricSettings, seen: Seen) -> JsonValue:
    """The ratings of a sample, all of which are known."""
    rows = _ratings(settings, seen)
    unknown = sum(value is None for row in rows for value in row)
    if unknown:
        total = settings.rotations * len(rows)
        raise MetricError(
            f"{unknown} of {total} answers of the judge are UNKNOWN, also when it was asked again: "
            f"{_last(seen)!r}"
        )
    return [list(row) for row in rows]


def _score(settings: JudgeMetricSettings, seen: Seen) -> JsonValue:
    rows: Any = _known(settings, seen)
    return fmean(value for row in rows for value in row)


def _unknown(settings: JudgeMetricSettings, seen: Seen) -> JsonValue:
    count = len(_answered(seen)) * settings.rotations
    if len(seen.replies) < count:
        raise MetricError("the judge was not asked")
    return fmean(value is None for value in _values(settings, seen.replies[:count]))


def _agreement(settings: JudgeMetricSettings, samples: Sequence[Any]) -> float:
    """Over all completions of all samples."""
    return alpha([row for rows in samples for row in rows], _judge(settings).level)


def _values(settings: JudgeMetricSettings, replies: Sequence[Any]) -> list[float | None]:
    """What answers say. Raises `MetricError` where the judge gave none."""
    judge, values = _judge(settings), []
    for reply in replies:
        if not isinstance(reply, Completion) or reply.error is not None:
            raise MetricError(f"the judge gave no answer: {getattr(reply, 'error', None)}")
        value = judge.value(reply.text)
        values.append(value if value is None or math.isfinite(value) else None)
    return values


def _answered(seen: Seen) -> tuple[Answer, ...]:
    """The completions. Raises `MetricError` where a request was refused."""
    for answer in seen.answers:
        if answer.error is not None:
            raise MetricError(f"its request was refused: {answer.error}")
    return seen.answers


def _last(seen: Seen) -> str:
    reply = seen.replies[-1]
    return reply.text[-80:] if isinstance(reply, Completion) else ""


def _judge(settings: JudgeMetricSettings) -> Judge:
    if settings.judge is not None:
        found: Judge = registry.judges.get(settings.judge)
        return found
    from harness.metrics.rubric import Rubric  # with Jinja, which specs are read without

    return Rubric.of(str(settings.rubric))


def _engine(settings: JudgeMetricSettings) -> EngineSettings:
    return settings.engine or EngineSettings()


def _name(settings: JudgeMetricSettings) -> str:
    """What requests call the engine: the model, and a hash of what runs it."""
    said = _engine(settings).model_dump_json()
    return f"{settings.model} by {hashlib.sha256(said.encode()).hexdigest()[:8]}"


@cache
def _tokenizer(model: str, engine: EngineSettings) -> Any:
    return tokenizer_for(model, engine)


def _check(settings: JudgeMetricSettings, checking: Checking) -> None:
    """What can be known of a judge before it is asked; nothing is sent to a server."""
    judge = _judge(settings)
    if settings.rotations > judge.rotations:
        raise FieldError(
            "rotations",
            f"{settings.rotations} is more than its wordings, or the orders of its options: use at "
            f"most {judge.rotations}",
        )
    tokenizer: Callable[[], Any] = checking.tokenizer
    if settings.model is not None:
        engine = _engine(settings)
        engine_named(engine.name).check_machine(engine)
        tokenizer = partial(_tokenizer, settings.model, engine)
    try:
        tokenizer()
    except ModelError as error:
        raise FieldError("model", str(error)) from error
    for sample in checking.samples:
        try:
            judge.conversation(Seen(sample.id, sample.record, ""), Answer((), ""), 0)
        except MetricError as error:
            raise FieldError("judge" if settings.judge else "rubric", str(error)) from error


METRIC = MetricKind(
    "judge",
    "what a model says of completions, asked by a rubric",
    JudgeMetricSettings,
    _made,
    files=lambda settings: [settings.rubric] if settings.rubric else [],
    check=_check,
)
