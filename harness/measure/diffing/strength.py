"""How strongly a model may be steered before what it says falls apart: a binary search.

The bracket starts at [0, most]; each decision halves it. Decisions are made in batches: all
strengths that the next few of them may come to are tried together, which gives the same result.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

#: Strengths in, whether each passes out.
Passes = Callable[[Sequence[float]], Sequence[bool]]

MOST, DECISIONS, AHEAD = 100.0, 12, 3


def strongest(
    passes: Passes, most: float = MOST, decisions: int = DECISIONS, ahead: int = AHEAD
) -> float:
    """The largest strength that passes, to `most / 2**decisions`; 0 where none does."""
    low, high = 0.0, most
    while decisions > 0:
        depth = min(ahead, decisions)
        tried = _reachable(low, high, depth)
        passed = dict(zip(tried, passes(tried), strict=True))
        for _ in range(depth):
            middle = (low + high) / 2
            low, high = (middle, high) if passed[middle] else (low, middle)
        decisions -= depth
    return low


def _reachable(low: float, high: float, depth: int) -> list[float]:
    """The middles of every bracket that so many decisions may come to."""
    if not depth:
        return []
    middle = (low + high) / 2
    return [*_reachable(low, middle, depth - 1), middle, *_reachable(middle, high, depth - 1)]
