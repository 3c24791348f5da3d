"""Dealing out: lists of bounded length, and shares of a number."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import ceil
from typing import TypeVar

Item = TypeVar("Item")


def chunks(items: Sequence[Item], most: int, at_once: int | None = None) -> list[list[Item]]:
    """As few lists as hold `most` items each, equally long but for one.

    Where lists are worked on one after the other they are cut, so that the order stays. Where so
    many items may be `at_once`, of which each list has its share, they are dealt out in turn, so
    that their costs are alike, to a number of lists that makes the shares equal if there is one.
    """
    if not items:
        return []
    count = ceil(len(items) / most)
    if at_once is None:
        bounds = [len(items) * each // count for each in range(count + 1)]
        return [list(items[start:end]) for start, end in pairwise(bounds)]
    count = next((each for each in range(count, at_once + 1) if at_once % each == 0), count)
    return [list(items[start::count]) for start in range(min(count, len(items)))]


def shares(most: int | None, count: int) -> list[int | None]:
    """How many of each of `count` may run at once, so that it is `most` in all; None: no bound."""
    return [None if most is None else (most + position) // count for position in range(count)]
