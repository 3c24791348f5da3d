"""What a judge is: how it is asked about a completion, and what its answers mean.

A judge asks in several *rotations*, which mean the same: another order of the options, other words.
An answer that cannot be read is UNKNOWN, which is no rating. A rubric (`rubric.py`) is a judge that
a file describes; others are entries of `harness.registry.judges`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from typing import Literal, Protocol

from harness.metrics.entry import Answer, Seen
from harness.tasks.base import Conversation

Level = Literal["interval", "nominal"]


class Judge(Protocol):
    """A judge's questions and answers; what is asked, and by which engine, a spec says."""

    @property
    def rotations(self) -> int:
        """In how many ways it can ask."""

    @property
    def level(self) -> Level:
        """Whether its values are numbers on a scale, or stand for options."""

    def conversation(self, seen: Seen, answer: Answer, rotation: int) -> Conversation:
        """What is asked about a completion of a sample.

        Raises:
            MetricError: the sample lacks what the question is about.
        """

    def value(self, text: str) -> float | None:
        """What an answer says; None where that is UNKNOWN."""


def alpha(units: Sequence[Sequence[float]], level: Level) -> float:
    """Krippendorff's alpha: 1 for ratings that agree, 0 for those that agree as chance would have.

    Args:
        units: The ratings of each unit; those with fewer than two say nothing.
        level: Whether two ratings differ by their squared distance, or just differ.

    Where all ratings are equal nothing can disagree, and alpha is 1. Source: Krippendorff 2011,
    "Computing Krippendorff's Alpha-Reliability", sections C and E.
    """
    paired = [unit for unit in units if len(unit) > 1]
    values = [value for unit in paired for value in unit]
    expected = _disagreement(values, level) / max(len(values) - 1, 1)
    if not expected:
        return 1.0
    observed = math.fsum(_disagreement(unit, level) / (len(unit) - 1) for unit in paired)
    return 1.0 - observed / expected


def _disagreement(values: Sequence[float], level: Level) -> float:
    """Summed over all ordered pairs of different ratings."""
    if level == "nominal":
        return 2.0 * sum(one != other for one, other in combinations(values, 2))
    # Of n numbers the squared differences of all ordered pairs add up to this.
    mean = math.fsum(values) / len(values) if values else 0.0
    return 2.0 * len(values) * math.fsum((value - mean) ** 2 for value in values)
