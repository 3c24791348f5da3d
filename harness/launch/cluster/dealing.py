"""Dealing out: lists of bounded length, and shares of a number."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import TypeVar

Item = TypeVar("Item")


def chunks(items: Sequence[Item], most: int) -> list[list[Item]]:
    """As few lists as hold `most` items each, dealt out in turn, so that their costs are alike."""
    count = ceil(len(items) / most)
    return [list(items[start::count]) for start in range(count)]


def shares(most: int | None, count: int) -> list[int | None]:
    """How many of each of `count` may run at once, so that it is `most` in all; None: no bound."""
    return [None if most is None else (most + position) // count for position in range(count)]
