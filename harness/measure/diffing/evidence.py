"""What a method brings of two models: tokens in the order in which they speak for a difference."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self


@dataclass(frozen=True)
class Example:
    """Where a token was found: a position of a text, with what stands around it."""

    text: str
    position: int
    before: str
    after: str
    value: float


@dataclass(frozen=True)
class Candidate:
    """A token that speaks for a difference.

    Args:
        token: Its id.
        text: What it says, decoded by itself.
        weight: How much it speaks, as its method counts; never negative.
        group: Which list of the method it stands in: a topic, a position; empty for the only one.
        numbers: What else is known of it, by name.
        examples: Where it was found.
    """

    token: int
    text: str
    weight: float
    group: str = ""
    numbers: Mapping[str, float] = field(default_factory=dict)
    examples: tuple[Example, ...] = ()


@dataclass(frozen=True)
class Evidence:
    """What a method found.

    Args:
        method: Its name.
        candidates: All tokens that it lists, the best first; groups one after the other.
        positions: Positions that were read.
        silent: Those of them that say nothing.
        texts: Texts that were read.
        dropped: Texts that were too short.
        about: What else is to be told, by name.
    """

    method: str
    candidates: tuple[Candidate, ...]
    positions: int
    silent: int
    texts: int
    dropped: int = 0
    about: Mapping[str, Any] = field(default_factory=dict)

    @property
    def groups(self) -> Mapping[str, Sequence[Candidate]]:
        """The lists of the method by their names."""
        found: dict[str, list[Candidate]] = {}
        for each in self.candidates:
            found.setdefault(each.group, []).append(each)
        return found

    def graded(self, count: int) -> list[Candidate]:
        """The first so many of every list, which a judge is asked about."""
        return [each for group in self.groups.values() for each in group[:count]]

    def text(self) -> str:
        """As JSON."""
        return json.dumps(asdict(self), ensure_ascii=False, indent=1, allow_nan=False) + "\n"

    @classmethod
    def of(cls, text: str) -> Self:
        """What `text` wrote."""
        read = json.loads(text)
        read["candidates"] = tuple(
            Candidate(
                **{**each, "examples": tuple(Example(**example) for example in each["examples"])}
            )
            for each in read["candidates"]
        )
        return cls(**read)
