"""Confidence bin only: draws at one level of confidence and is greedy at all others (2510.05987).

It shows what sampling at each level does: every step is random under exactly one of the ten bins.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from harness.sampling.confidence import BINS, bins
from harness.sampling.masks import only_best
from harness.sampling.rule import MaskRule, Value

if TYPE_CHECKING:
    from torch import Tensor, device


class ConfidenceBinOnly(MaskRule):
    """Leaves the best token alone wherever its probability lies outside of one bin."""

    name = "confidence_bin_only"
    field = Annotated[int, Field(ge=1, le=BINS)] | None
    description = (
        "Tokens are drawn only where the most probable one's probability, after temperature, is in "
        "this tenth: 1 is 0 to 0.1, 10 is above 0.9; elsewhere that one is taken. null, the "
        "default, draws everywhere."
    )
    neutral = None
    place = 11
    keeps_best = True
    example = 3

    def tensors(self, rows: Sequence[Value], device: device) -> Tensor:
        """Bins [R], int64."""
        import torch

        return torch.tensor(rows, device=device)

    def apply(self, logits: Tensor, rows: Tensor) -> Tensor:
        """The best alone in every other bin."""
        inside = bins(logits.softmax(dim=-1).amax(dim=-1)) == rows
        return only_best(logits) | inside[:, None]

    def excluded(
        self, value: Value, score: float, best: Sequence[float], slack: float
    ) -> str | None:
        """Another token than the best one, in another bin."""
        sure = math.exp(best[0])
        outside = sure <= (value - 1) / BINS - slack or sure > value / BINS + slack
        if outside and score < best[0] - slack:
            return f"drawn where the best has {sure:.3f}, confidence_bin_only is {value}"
        return None


RULE = ConfidenceBinOnly()
