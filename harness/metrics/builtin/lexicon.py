"""`lexicon`: the weights of the words of a completion, summed.

word,weight
wonderful,1
not good,-1
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal

from harness.errors import FieldError, MetricError
from harness.files.given import parsed, text
from harness.metrics.entry import Answer, MetricEntry, Seen, per_answer
from harness.metrics.kind import Checking, MetricKind
from harness.metrics.words import words
from harness.spec.metric import MetricSettings
from harness.spec.settings import SpecPath

Weights = Mapping[tuple[str, ...], float]

_MOST_BYTES = 64 << 20


class LexiconSettings(MetricSettings):
    """The weights of a completion's words, by a file of words and weights."""

    kind: Literal["lexicon"]
    """The kind of metric is lexicon: words counted by their weights."""
    file: SpecPath
    """The words and phrases that are counted, with their weights: CSV or TSV (word, weight, with or
    without a header), or a JSON object; relative to the folder of the spec."""
    per: Literal["text", "100_words"] = "text"
    """What the sum is of: text, the default, a whole completion; or 100_words of it."""


def weights_of(name: str, content: str) -> dict[tuple[str, ...], float]:
    """The weights that a file of this name and content holds, by the words of each phrase.

    Raises:
        ValueError: naming the line, or the entry, that has no word or no number.
    """
    found: dict[tuple[str, ...], float] = {}
    for place, phrase, weight in _entries(name, content):
        key = tuple(words(phrase))
        if not key:
            raise ValueError(f"{place}: {phrase!r} has no word in it")
        if found.setdefault(key, weight) != weight:
            raise ValueError(f"{place}: {phrase!r} is in it twice, with other weights")
    if not found:
        raise ValueError("it holds no word; write lines of WORD,WEIGHT")
    return found


def weighed(said: Sequence[str], weights: Weights) -> float:
    """The sum over a text's words; the longest phrase that begins at a word is taken, and once."""
    longest = max(map(len, weights))
    total, at = 0.0, 0
    while at < len(said):
        size = next((n for n in range(longest, 0, -1) if tuple(said[at : at + n]) in weights), 0)
        total += weights[tuple(said[at : at + size])] if size else 0.0
        at += max(size, 1)
    return total


def _entries(name: str, content: str) -> Iterator[tuple[str, str, float]]:
    if name.endswith(".json"):
        held = parsed(content)
        if not isinstance(held, dict):
            raise ValueError('it is no JSON object; write {"word": weight, ...}')
        for word, weight in held.items():
            yield repr(word), word, _number(repr(word), weight)
        return
    rows = csv.reader(io.StringIO(content), delimiter="\t" if name.endswith(".tsv") else ",")
    for number, row in enumerate(rows, start=1):
        if not any(cell.strip() for cell in row):
            continue
        place = f"line {number}"
        if len(row) != 2:
            raise ValueError(f"{place}: {len(row)} columns; write WORD,WEIGHT")
        if number == 1 and not _is_number(row[1]):
            continue  # a header
        yield place, row[0], _number(place, row[1])


def _is_number(value: Any) -> bool:
    try:
        return not isinstance(value, bool) and math.isfinite(float(value))
    except (TypeError, ValueError):
        return False


def _number(place: str, value: Any) -> float:
    if not _is_number(value):
        raise ValueError(f"{place}: {value!r} is no number")
    return float(value)


def _read(file: str) -> dict[tuple[str, ...], float]:
    return weights_of(Path(file).name, text(file, _MOST_BYTES))


def _check(settings: LexiconSettings, _: Checking) -> None:
    try:
        _read(settings.file)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise FieldError("file", f"{settings.file}: {why}") from error


def _made(settings: LexiconSettings) -> MetricEntry:
    weights = cache(lambda: _read(settings.file))

    def weight(_: Seen, answer: Answer) -> float:
        said = words(answer.text)
        total = weighed(said, weights())
        if settings.per == "text":
            return total
        if not said:
            raise MetricError("it has no words")
        return 100 * total / len(said)

    per = "a completion's words" if settings.per == "text" else "100 words of a completion"
    return MetricEntry(
        "lexicon",
        f"mean weight of {per} in {Path(settings.file).name}",
        value=per_answer(weight),
    )


METRIC = MetricKind(
    "lexicon",
    "words of completions, counted by a file of weights",
    LexiconSettings,
    _made,
    files=lambda settings: [settings.file],
    check=_check,
)
