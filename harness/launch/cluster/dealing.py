"""Dealing out: lists of bounded length, and shares of a number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from itertools import pairwise
from math import ceil
from typing import TypeVar

Item = TypeVar("Item")


def chunks(
    items: Sequence[Item],
    most: int,
    at_once: int | None = None,
    cost: Callable[[Item], float] = lambda _: 1.0,
) -> list[list[Item]]:
    """As few lists as hold `most` items each, equally long but for one.

    Where lists are worked on one after the other they are cut, so that the order stays. Where so
    many items may be `at_once`, of which each list has its share, the next item goes to the list
    that costs least as yet, of a number of lists that makes the shares equal if there is one.
    """
    if not items:
        return []
    count = ceil(len(items) / most)
    if at_once is None:
        bounds = [len(items) * each // count for each in range(count + 1)]
        return [list(items[start:end]) for start, end in pairwise(bounds)]
    count = next((each for each in range(count, at_once + 1) if at_once % each == 0), count)
    dealt: list[list[Item]] = [[] for _ in range(min(count, len(items)))]
    open_ = [(0.0, number) for number in range(len(dealt))]
    for item in items:
        spent, number = heappop(open_)
        dealt[number].append(item)
        if len(dealt[number]) < most:
            heappush(open_, (spent + cost(item), number))
    return dealt


def shares(most: int | None, count: int) -> list[int | None]:
    """How many of each of `count` may run at once, so that it is `most` in all; None: no bound."""
    return [None if most is None else (most + position) // count for position in range(count)]
