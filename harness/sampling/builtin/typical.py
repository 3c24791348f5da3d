"""Typical: keeps what is about as surprising as the distribution is (Meister et al. 2023).

What is far more probable than usual goes, too, the most probable token included: the kept tokens
are not the first of the sorted ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from harness.sampling.rule import MaskRule, Value
from harness.sampling.scans import at_least, below, order

if TYPE_CHECKING:
    from torch import Tensor


class Typical(MaskRule):
    """Keeps the tokens whose surprise is nearest to the entropy, up to a mass.

    Tokens that are equally near to it stay together.
    """

    name = "typical"
    field = Annotated[float, Field(gt=0, le=1)]
    description = (
        "Tokens are drawn from the smallest set of those whose surprise is nearest to the entropy "
        "that has at least this mass. 1.0, the default, is all."
    )
    neutral = 1.0
    weakens = True
    place = 50
    in_transformers = "typical_p"
    example = 0.5

    def apply(self, logits: Tensor, rows: Tensor) -> Tensor:
        """Tokens no further from the entropy than the one that reaches the mass."""
        scores = logits.log_softmax(dim=-1)
        entropy = -(scores * scores.exp()).nansum(dim=-1, keepdim=True)
        distance = (-scores - entropy).abs()
        nearest = order(distance)
        mass = logits.gather(-1, nearest).softmax(dim=-1).cumsum(dim=-1)
        last = below(mass, rows)[:, None].clamp(max=logits.shape[-1] - 1)
        furthest = distance.gather(-1, nearest.gather(-1, last))
        kept = at_least(-distance, -furthest[:, 0])
        return kept | (rows >= 1)[:, None]  # whatever the sum is rounded to

    def excluded(
        self, value: Value, score: float, best: Sequence[float], slack: float
    ) -> str | None:
        """A token beyond the mass; the entropy needs the log-probabilities of all."""
        entropy = -sum(math.exp(each) * each for each in best if each > -math.inf)
        away = abs(-score - entropy)
        nearer = sum(math.exp(each) for each in best if abs(-each - entropy) < away - 10 * slack)
        if nearer >= value + slack:
            return f"mass {nearer:.3f} is more typical, typical is {value}"
        return None


RULE = Typical()
