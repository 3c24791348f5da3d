"""Top-p, nucleus sampling: draws from the tokens with most of the mass (Holtzman et al. 2020)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from harness.sampling.rule import CountRule, Value
from harness.sampling.scans import below

if TYPE_CHECKING:
    from torch import Tensor, device


class TopP(CountRule):
    """Keeps the smallest set of most probable tokens whose mass reaches p."""

    name = "top_p"
    field = Annotated[float, Field(gt=0, le=1)]
    description = (
        "Tokens are drawn from the smallest set of most probable ones whose probabilities, "
        "renormalised over what top_k has kept, add up to this. 1.0, the default, is all."
    )
    neutral = 1.0
    weakens = True
    place = 30
    on_servers = frozenset({"tokens", "text", "chat"})
    column = 2
    strictest = 1e-6
    example = 0.5

    def content(self, value: Value) -> tuple[Value, ...]:
        """The bare value, always."""
        return (value,)

    def tensors(self, rows: Sequence[Value], device: device) -> Tensor:
        """What may be left out [R]: 1 - p; at 1 not even what is improbable beyond float32."""
        return super().tensors([1 - value if value < 1 else -1.0 for value in rows], device)

    def apply(self, ordered: Tensor, rows: Tensor) -> Tensor:
        """Tokens but for the least probable ones with 1 - p together, summed from the least."""
        rest = ordered.flip(-1).softmax(dim=-1).cumsum(dim=-1)
        return rest.shape[-1] - below(rest, rows, included=True)

    def excluded(
        self, value: Value, score: float, best: Sequence[float], slack: float
    ) -> str | None:
        """A token with p or more before it."""
        mass = sum(math.exp(other) for other in best if other > score + slack)
        return (
            f"mass {mass:.3f} is more probable, top_p is {value}" if mass >= value + slack else None
        )


class _Above(TopP):
    """Keeps the smallest set whose mass is above p: one token more where a sum is just p."""

    def tensors(self, rows: Sequence[Value], device: device) -> Tensor:
        """The masses [R]; no sum exceeds that of a row that keeps all, whatever it rounds to."""
        return CountRule.tensors(self, [v if v < 1 else math.inf for v in rows], device)

    def apply(self, ordered: Tensor, rows: Tensor) -> Tensor:
        """Tokens up to p, and the one that follows."""
        mass = ordered.softmax(dim=-1).cumsum(dim=-1)
        return below(mass, rows, included=True) + 1


RULE = TopP()
ABOVE = _Above()
