"""Greedy threshold: a model that is unsure of every token draws noise rather than variety."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from harness.sampling.masks import only_best
from harness.sampling.rule import MaskRule, Value

if TYPE_CHECKING:
    from torch import Tensor


class GreedyThreshold(MaskRule):
    """Leaves the best token alone where even its probability is below the threshold."""

    name = "greedy_threshold"
    field = Annotated[float, Field(ge=0, le=1)]
    description = (
        "The most probable token is taken wherever its probability, after temperature and before "
        "any cut, is below this one. 0, the default, is off."
    )
    neutral = 0.0
    place = 10
    keeps_best = True
    column = 4
    idle = 1e-30
    strictest = 1.0
    example = 0.5

    def content(self, value: Value) -> tuple[Value, ...]:
        """The bare value, left out where it is off: most keys are older than this rule."""
        return (value,) if value else ()

    def apply(self, logits: Tensor, rows: Tensor) -> Tensor:
        """The best alone where it is below; the comparison is strict, so 0 is off.

        Of equally probable tokens the first is the best.
        """
        unsure = logits.softmax(dim=-1).amax(dim=-1) < rows
        return only_best(logits) | ~unsure[:, None]

    def excluded(
        self, value: Value, score: float, best: Sequence[float], slack: float
    ) -> str | None:
        """Another token than the best one, whose probability is below the threshold."""
        if math.exp(best[0]) < value - slack and score < best[0] - slack:
            return f"drawn where the best has {math.exp(best[0]):.3f}, greedy_threshold is {value}"
        return None


RULE = GreedyThreshold()
