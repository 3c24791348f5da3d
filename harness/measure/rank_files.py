"""Files of "Sample Smart, Not Hard" (arXiv 2510.05987): ranks per response, and top-k traces.

A rank file has a JSON list of ranks, from 1 on, per response. A trace file has a JSON object per
supervised token: `{"gt": id, "top_ids": [...], "top_probs": ["0.93210000", ...]}`, probabilities as
text with eight decimals, best first.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from harness.errors import TaskError

T = TypeVar("T")

_RANKS = TypeAdapter(list[Annotated[int, Field(ge=1, strict=True)]])


class TopKTrace(NamedTuple):
    """One supervised token: the reference's id, and the most probable ids with probabilities."""

    reference: int
    tokens: tuple[int, ...]
    probabilities: tuple[float, ...]

    @property
    def rank(self) -> int | None:
        """The reference's rank, from 1 on; None where it is none of these."""
        return self.tokens.index(self.reference) + 1 if self.reference in self.tokens else None


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid")

    gt: int
    top_ids: list[int] = Field(min_length=1)
    top_probs: list[Annotated[float, Field(ge=0, le=1)]]

    @model_validator(mode="after")
    def _aligned(self) -> _Line:
        if len(self.top_ids) != len(self.top_probs):
            raise ValueError(f"{len(self.top_ids)} top_ids, {len(self.top_probs)} top_probs")
        if len(set(self.top_ids)) < len(self.top_ids):
            raise ValueError("two of top_ids are the same")
        if self.top_probs != sorted(self.top_probs, reverse=True):
            raise ValueError("top_probs are not sorted, best first")
        return self


def read_ranks(path: Path) -> list[list[int]]:
    """The ranks of every response. Raises `TaskError` for a line that is no list of ranks."""
    return [_checked(_RANKS, text, place) for place, text in _lines(path)]


def read_traces(path: Path) -> Iterator[TopKTrace]:
    """The traces, one by one. Raises `TaskError` for a line of another form."""
    adapter = TypeAdapter(_Line)
    for place, text in _lines(path):
        line = _checked(adapter, text, place)
        yield TopKTrace(line.gt, tuple(line.top_ids), tuple(line.top_probs))


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield f"{path}:{number}", line
    except (OSError, UnicodeDecodeError) as error:
        raise TaskError(f"{path}: cannot be read: {error}") from None


def _checked(adapter: TypeAdapter[T], text: str, place: str) -> T:
    try:
        return adapter.validate_python(json.loads(text))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise TaskError(f"{place} {where}: {first['msg']}".replace(" :", ":")) from None
    except ValueError as error:
        raise TaskError(f"{place}: not JSON: {error}") from None
