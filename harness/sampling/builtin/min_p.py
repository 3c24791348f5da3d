"""Min-p: draws from tokens that are not much less probable than the best (Nguyen et al. 2024)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from harness.sampling.rule import CountRule, Value

if TYPE_CHECKING:
    from torch import Tensor, device


class MinP(CountRule):
    """Keeps the tokens with at least a share of the best one's probability."""

    name = "min_p"
    field = Annotated[float, Field(ge=0, lt=1)]
    description = (
        "Tokens are drawn from those whose probability is at least this share of the most probable "
        "one's. 0, the default, is all."
    )
    neutral = 0.0
    place = 40
    column = 3
    idle = 1e-30
    strictest = 0.999999
    example = 0.2

    def content(self, value: Value) -> tuple[Value, ...]:
        """The bare value, always."""
        return (value,)

    def tensors(self, rows: Sequence[Value], device: device) -> Tensor:
        """The shares' logarithms [R]; a share of 0 keeps all."""
        return super().tensors([math.log(value) if value else -math.inf for value in rows], device)

    def apply(self, ordered: Tensor, rows: Tensor) -> Tensor:
        """Tokens whose ratio to the best is large enough."""
        return (ordered - ordered[:, :1] >= rows[:, None]).sum(dim=-1)

    def excluded(
        self, value: Value, score: float, best: Sequence[float], slack: float
    ) -> str | None:
        """A token with a smaller share."""
        if score < best[0] + math.log(value) - slack:
            return f"{math.exp(score - best[0]):.3f} of the best, min_p is {value}"
        return None


RULE = MinP()
