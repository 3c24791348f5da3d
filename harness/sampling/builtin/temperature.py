"""Temperature: how far draws spread; the one built-in rule that makes rows draw at random."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import NonNegativeFloat

from harness.sampling.rule import LogitsRule, Value

if TYPE_CHECKING:
    from torch import Tensor


COLDEST = 1e-30
"""Of a temperature that underflows: logits divided by it are finite, and the best draws alone."""


class Temperature(LogitsRule):
    """Divides the logits; 0 is greedy decoding."""

    name = "temperature"
    field = NonNegativeFloat
    description = (
        "Logits are divided by this number before a token is drawn: above 1 draws spread, below 1 "
        "they gather at the most probable tokens. 0, the default, is greedy decoding."
    )
    neutral = 0.0
    place = 0
    on_servers = frozenset({"tokens", "text", "chat"})
    draws = True
    keeps_best = True
    column = 0
    example = 2.0

    def content(self, value: Value) -> tuple[Value, ...]:
        """The bare value, always."""
        return (value,)

    def apply(self, logits: Tensor, rows: Tensor) -> Tensor:
        """The logits [R, V], divided."""
        return logits / rows.clamp(min=COLDEST)[:, None]


RULE = Temperature()
