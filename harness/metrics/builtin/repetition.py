"""`repetition`: how much a completion says again what it has said.

distinct-n is of Li et al. (2016, "A Diversity-Promoting Objective Function for Neural Conversation
Models"): distinct n-grams over all n-grams, here of the words of one completion.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from harness.errors import MetricError
from harness.metrics.entry import Answer, MetricEntry, Seen, per_answer
from harness.metrics.kind import MetricKind
from harness.metrics.words import words
from harness.spec.metric import MetricSettings


class RepetitionSettings(MetricSettings):
    """How varied completions are, or the longest stretch that each of them repeats."""

    kind: Literal["repetition"]
    """The kind of metric is repetition: within a completion."""
    of: Literal["distinct", "longest"] = "distinct"
    """What is counted: distinct, the default, is the share of n-grams of words that differ;
    longest, the words of the longest stretch that occurs twice, where the second may begin within
    the first."""
    n: Annotated[int, Field(ge=1, le=20)] | None = None
    """How many words an n-gram has, for distinct; 2 when left out."""

    @model_validator(mode="after")
    def _n_is_of_distinct(self) -> Self:
        if self.of == "longest" and self.n is not None:
            raise ValueError("n means nothing to of: longest; leave it out")
        return self


def distinct(said: Sequence[str], n: int) -> float:
    """The share of n-grams that differ. Raises MetricError where there is no n-gram."""
    grams = _grams(said, n)
    if not grams:
        raise MetricError(f"its {len(said)} words have no n-gram of {n}")
    return len(set(grams)) / len(grams)


def longest_repeat(said: Sequence[str]) -> int:
    """Words of the longest stretch that occurs twice; 0 where no word does."""
    shortest, longest = 0, max(len(said) - 1, 0)
    while shortest < longest:  # what occurs twice has beginnings that do: the length is bisected
        middle = (shortest + longest + 1) // 2
        grams = _grams(said, middle)
        if len(set(grams)) < len(grams):
            shortest = middle
        else:
            longest = middle - 1
    return shortest


def _grams(said: Sequence[str], n: int) -> list[tuple[str, ...]]:
    return [tuple(said[at : at + n]) for at in range(len(said) - n + 1)]


def _made(settings: RepetitionSettings) -> MetricEntry:
    n = settings.n or 2

    def varied(_: Seen, answer: Answer) -> float:
        return distinct(words(answer.text), n)

    def repeated(_: Seen, answer: Answer) -> float:
        return float(longest_repeat(words(answer.text)))

    if settings.of == "distinct":
        return MetricEntry(
            "repetition",
            f"mean share of a completion's {n}-grams of words that differ",
            "higher",
            bounds=(0, 1),
            value=per_answer(varied),
        )
    return MetricEntry(
        "repetition",
        "mean words of the longest stretch that a completion says twice",
        "lower",
        "count",
        (0, None),
        value=per_answer(repeated),
    )


METRIC = MetricKind(
    "repetition", "distinct n-grams, or the longest repeat", RepetitionSettings, _made
)
