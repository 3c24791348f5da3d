"""Dynamic top-k: a k for each level of confidence, such as calibration finds (2510.05987)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from pydantic import BeforeValidator, Field, PositiveInt

from harness.sampling.confidence import BINS, bins
from harness.sampling.rule import CountRule, Value

if TYPE_CHECKING:
    from torch import Tensor, device


def _frozen(value: Value) -> Value:
    return tuple(value) if isinstance(value, list) else value


class DynamicTopK(CountRule):
    """Keeps as many of the most probable tokens as the bin of the best one's probability says."""

    name = "dynamic_top_k"
    field = (
        Annotated[
            tuple[PositiveInt, ...],
            Field(min_length=BINS, max_length=BINS),
            BeforeValidator(_frozen, json_schema_input_type=list[PositiveInt]),
        ]
        | None
    )
    description = (
        "How many of the most probable tokens one is drawn from, as ten whole numbers, from the "
        "highest confidence to the lowest: where the best one's probability, after temperature, is "
        "above 0.9, then 0.8 to 0.9, and so on. null, the default, is all."
    )
    neutral = None
    place = 12
    idle = (2**31,) * BINS
    strictest = (1,) * BINS
    example = (5, 4, 4, 3, 3, 2, 2, 2, 1, 1)

    def tensors(self, rows: Sequence[Value], device: device) -> Tensor:
        """Counts [R, 10], from the lowest bin to the highest, int64."""
        import torch

        return torch.tensor([row[::-1] for row in rows], device=device)

    def apply(self, ordered: Tensor, rows: Tensor) -> Tensor:
        """The count of the bin."""
        bin_ = bins(ordered.softmax(dim=-1).amax(dim=-1))
        return rows.gather(-1, bin_[:, None] - 1)[:, 0]

    def excluded(
        self, value: Value, score: float, best: Sequence[float], slack: float
    ) -> str | None:
        """A token with as many that are more probable as either bin allows next to an edge."""
        sure = math.exp(best[0])
        near = {min(BINS, max(1, math.ceil(BINS * each))) for each in (sure - slack, sure + slack)}
        most = max(value[BINS - each] for each in near)
        above = sum(other > score + slack for other in best)
        if above >= most:
            return f"{above} tokens are more probable, dynamic_top_k has {most} at {sure:.3f}"
        return None


RULE = DynamicTopK()
