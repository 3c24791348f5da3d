"""Min-p: draws from tokens that are not much less probable than the best (Nguyen et al. 2024)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from harness.sampling.masks import ThresholdRule
from harness.sampling.rule import Value

if TYPE_CHECKING:
    from torch import Tensor


class MinP(ThresholdRule):
    """Keeps the tokens with at least a share of the best one's probability."""

    name = "min_p"
    field = Annotated[float, Field(ge=0, lt=1)]
    description = (
        "Tokens are drawn from those whose probability is at least this share of the most probable "
        "one's. 0, the default, is all."
    )
    neutral = 0.0
    place = 40
    on_servers = frozenset({"tokens"})
    column = 3
    idle = 1e-30
    strictest = 0.999999
    example = 0.2

    def content(self, value: Value) -> tuple[Value, ...]:
        """The bare value, always."""
        return (value,)

    def least(self, probabilities: Tensor, rows: Tensor) -> Tensor:
        """The share of the largest."""
        return rows * probabilities.amax(dim=-1)

    def excluded(
        self, value: Value, score: float, best: Sequence[float], slack: float
    ) -> str | None:
        """A token with a smaller share."""
        if score < best[0] + math.log(value) - slack:
            return f"{math.exp(score - best[0]):.3f} of the best, min_p is {value}"
        return None


RULE = MinP()
