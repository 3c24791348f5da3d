"""Contrastive pairs of a user's own: in our format, and in two that are published.

    {"prompt": "Is it raining?", "positive": " Yes.", "negative": " No."}          bare text
    {"messages": [{"role": "user", ...}], "positive": "Yes.", "negative": "No."}   chat turns
    {"positive": {"messages": [...]}, "negative": {"messages": [...]}}             two conversations

A conversation that ends with the assistant's turn is read up to the end of that turn; any other up
to where the assistant would begin. Read as they are published, too:

- contrastive activation addition (Rimsky et al. 2024), and Anthropic's model-written evaluations:
  `question`, `answer_matching_behavior`, `answer_not_matching_behavior`
- AxBench (Wu et al. 2025): `input`, `output`, `output_concept`, `concept_genre`, `category`,
  `concept_id`; a concept's positive rows beside negative ones of the same genre

The questions of both are user turns, and bare text in the style `completion`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from harness.errors import TaskError
from harness.tasks.base import Conversation, Style
from harness.tasks.contrast import ContrastPair, Side
from harness.tasks.data_files import each_of, rows_of
from harness.tasks.turns import faulty_turns, said

_EXPECTED = "prompt (or messages), positive and negative"
_CAA = ("question", "answer_matching_behavior", "answer_not_matching_behavior")
_AXBENCH = ("input", "output", "output_concept", "category")


class _Row(NamedTuple):
    place: str
    record: Mapping[str, Any]


_Ask = Callable[[str], tuple[Conversation | str, str]]


def read_pairs(
    path: Path | str,
    *,
    style: Style = "assisted",
    day: date | None = None,
    concept: int | None = None,
) -> tuple[ContrastPair, ...]:
    """The pairs of a .jsonl, .json, .csv or .parquet file.

    Args:
        path: The file.
        style: How published questions are asked; own prompts say by themselves what they are.
        day: On which conversations take place.
        concept: Which `concept_id` of AxBench's format is read; None where there is one only.

    Raises:
        TaskError: a file that holds no pair, or a pair whose two sides are the same, or of which
            one is empty: its difference would be nothing.
    """
    rows = each_of(rows_of(path, _EXPECTED), _Row)
    first = rows[0].record
    if concept is not None and not all(field in first for field in _AXBENCH):
        raise TaskError(f"{path}: concept {concept} is of AxBench's format, and this is another")
    numbers = count(1)
    if all(field in first for field in _CAA):
        return tuple(each_of(rows, lambda *row: _of_caa(_Row(*row), next(numbers), style, day)))
    if all(field in first for field in _AXBENCH):
        return tuple(_of_axbench(rows, str(path), concept, style, day))
    return tuple(each_of(rows, lambda *row: _own(_Row(*row), next(numbers), day)))


def _own(row: _Row, number: int, day: date | None) -> ContrastPair:
    """A pair in our own format."""
    place, record = row.place, row.record
    lacking = [side for side in ("positive", "negative") if record.get(side) is None]
    if lacking:
        found = ", ".join(list(record)[:12]) or "no field"
        raise TaskError(
            f"{place}: no text in {', '.join(lacking)} (found {found}); expected {_EXPECTED}"
        )
    place = f"{place}: pair {number}"
    prompt: Conversation | str | None = None
    if record.get("messages") is not None:
        prompt = _conversation(record["messages"], place, "messages", day)
    elif isinstance(record.get("prompt"), str):
        prompt = record["prompt"]
    sides = [_side(record[side], side, prompt, place, day) for side in ("positive", "negative")]
    return _pair(f"pair {number}", place, *sides)


def _side(
    value: Any, side: str, prompt: Conversation | str | None, place: str, day: date | None
) -> Side:
    """One side: an answer behind the pair's prompt, or a conversation of its own."""
    if isinstance(value, str):
        if prompt is None:
            raise TaskError(
                f"{place}: no text in prompt, and {side} is the answer to one; expected {_EXPECTED}"
            )
        if not value.strip():
            raise TaskError(f"{place}: {side} is empty; both sides need a text")
        return Side(prompt, value)
    if prompt is not None:
        raise TaskError(
            f"{place}: {side} is a conversation, and the pair has a prompt beside it; leave it out"
        )
    turns = value.get("messages") if isinstance(value, Mapping) else value
    whole = _conversation(turns, place, f"{side}.messages", day)
    *before, last = whole.messages
    if last["role"] != "assistant":
        return Side(whole)
    if not before or not last["content"].strip():
        raise TaskError(f"{place}: {side} ends with an answer to nothing, or with an empty one")
    return Side(Conversation(tuple(before), date=day), last["content"])


def _conversation(turns: Any, place: str, field: str, day: date | None) -> Conversation:
    turns = [said(turn) for turn in turns] if isinstance(turns, list) else turns
    problem = faulty_turns(turns)
    if problem is not None:
        raise TaskError(f"{place}: {field}: {problem}")
    return Conversation(tuple(turns), date=day)


def _pair(name: str, place: str, positive: Side, negative: Side) -> ContrastPair:
    if positive == negative:
        shown = (positive.answer or "the same conversation")[:40]
        raise TaskError(
            f"{place}: positive and negative are both {shown!r}; "
            "a pair must differ in what the vector is to stand for"
        )
    return ContrastPair(name, positive, negative)


def _asked(question: str, answer: str, style: Style, day: date | None) -> Side:
    """A published question with an answer."""
    if style == "completion":
        return Side(question, answer if question[-1:].isspace() else f" {answer}")
    return Side(Conversation(({"role": "user", "content": question},), date=day), answer)


def _texts(row: _Row, fields: Sequence[str]) -> list[str]:
    wrong = [name for name in fields if not str(row.record.get(name) or "").strip()]
    if wrong:
        raise TaskError(f"{row.place}: no text in {', '.join(wrong)}")
    return [str(row.record[name]).strip() for name in fields]


def _of_caa(row: _Row, number: int, style: Style, day: date | None) -> ContrastPair:
    question, matching, other = _texts(row, _CAA)
    sides = (_asked(question, answer, style, day) for answer in (matching, other))
    return _pair(f"pair {number}", row.place, *sides)


def _of_axbench(
    rows: Sequence[_Row], path: str, concept: int | None, style: Style, day: date | None
) -> Iterator[ContrastPair]:
    """Positive rows of one concept, each beside a negative row of its genre: of the same input
    where there is one, else in the order of the file.
    """
    positive = [row for row in rows if row.record["category"] == "positive"]
    there = {row.record.get("concept_id"): row.record["output_concept"] for row in positive}
    if concept is None and len(there) > 1:
        shown = ", ".join(f"{key} ({str(name)[:40]})" for key, name in [*there.items()][:3])
        raise TaskError(f"{path}: holds {len(there)} concepts, {shown}, ...; choose one by concept")
    if concept is not None and concept not in there:
        raise TaskError(f"{path}: has no positive row of concept {concept}")
    positive = [row for row in positive if concept in (None, row.record.get("concept_id"))]
    genres = {row.record.get("concept_genre") for row in positive}
    negative = [
        row
        for row in rows
        if row.record["category"] == "negative" and row.record.get("concept_genre") in genres
    ]
    if not positive or not negative:
        raise TaskError(f"{path}: needs positive and negative rows (category) of one genre")
    same = {row.record["input"]: row for row in negative}
    others = iter(row for row in negative if row.record["input"] not in _inputs(positive))
    for number, row in enumerate(positive, start=1):
        beside = same.get(row.record["input"]) or next(others, None)
        if beside is None:
            return  # there are no more negative rows
        texts = (_texts(each, ("input", "output")) for each in (row, beside))
        sides = (_asked(question, answer, style, day) for question, answer in texts)
        yield _pair(f"pair {number}", row.place, *sides)


def _inputs(rows: Sequence[_Row]) -> set[str]:
    return {row.record["input"] for row in rows}
