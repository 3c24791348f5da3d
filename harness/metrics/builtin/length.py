"""`length`: how long a completion is."""

from __future__ import annotations

from typing import Literal, TypeAlias

from harness.metrics.entry import Answer, MetricEntry, Seen, per_answer
from harness.metrics.kind import MetricKind
from harness.metrics.words import words
from harness.spec.metric import MetricSettings

Unit: TypeAlias = Literal["tokens", "words", "characters", "lines"]


class LengthSettings(MetricSettings):
    """The mean length of completions."""

    kind: Literal["length"]
    """The kind of metric is length: of completions."""
    of: Unit = "tokens"
    """What is counted: tokens (the default, special ones included), words, characters or lines that
    are not blank."""


def length(answer: Answer, unit: Unit) -> int:
    """The length of a completion in a unit."""
    match unit:
        case "tokens":
            return len(answer.tokens)
        case "words":
            return len(words(answer.text))
        case "characters":
            return len(answer.text)
        case "lines":
            return sum(bool(line.strip()) for line in answer.text.splitlines())


def _made(settings: LengthSettings) -> MetricEntry:
    def counted(_: Seen, answer: Answer) -> float:
        return float(length(answer, settings.of))

    return MetricEntry(
        "length",
        f"mean number of {settings.of} of a completion",
        kind="count",
        bounds=(0, None),
        value=per_answer(counted),
    )


METRIC = MetricKind("length", "tokens, words, characters or lines", LengthSettings, _made)
