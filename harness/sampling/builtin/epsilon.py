"""Epsilon: draws from tokens whose probability is high enough (Hewitt, Manning, Liang 2022)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from harness.sampling.masks import ThresholdRule
from harness.sampling.rule import Value

if TYPE_CHECKING:
    from torch import Tensor


class Epsilon(ThresholdRule):
    """Keeps the tokens with at least this probability."""

    name = "epsilon"
    field = Annotated[float, Field(ge=0, lt=1)]
    description = (
        "Tokens are drawn from those whose probability is at least this, or else the most probable "
        "one is taken. 0, the default, is all."
    )
    neutral = 0.0
    place = 60
    in_transformers = "epsilon_cutoff"
    idle = 1e-30
    strictest = 0.999999
    example = 0.05

    def least(self, probabilities: Tensor, rows: Tensor) -> Tensor:
        """The value itself."""
        del probabilities
        return rows

    def excluded(
        self, value: Value, score: float, best: Sequence[float], slack: float
    ) -> str | None:
        """A less probable token."""
        if score < min(math.log(value), best[0]) - slack:
            return f"probability {math.exp(score):.4f}, {self.name} is {value}"
        return None


RULE = Epsilon()
