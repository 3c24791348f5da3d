"""What a judge is: how it is asked about a completion, and what its answers mean.

A judge asks in several *rotations*, which mean the same: another order of the options, other words.
An answer that cannot be read is UNKNOWN, which is no rating. A rubric (`rubric.py`) is a judge that
a file describes; others are entries of `harness.registry.judges`.
"""

from __future__ import annotations

from collections.abc import Sequence
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
    "Computing Krippendorff's Alpha-Reliability", by the library of his name.
    """
    import krippendorff  # with numpy, which a listing of metrics does without

    paired = [unit for unit in units if len(unit) > 1]
    values = sorted({value for unit in paired for value in unit})
    if len(values) < 2:
        return 1.0
    counts = [[unit.count(value) for value in values] for unit in map(list, paired)]
    found = krippendorff.alpha(value_counts=counts, value_domain=values, level_of_measurement=level)
    return float(found)
