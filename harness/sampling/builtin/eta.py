"""Eta: an epsilon that falls where the model is unsure (Hewitt, Manning and Liang 2022)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from harness.sampling.masks import ThresholdRule
from harness.sampling.rule import Value

if TYPE_CHECKING:
    from torch import Tensor


class Eta(ThresholdRule):
    """Keeps tokens with at least e, or sqrt(e) exp(-H) where that is less; H is the entropy."""

    name = "eta"
    field = Annotated[float, Field(ge=0, lt=1)]
    description = (
        "Tokens are drawn from those whose probability is at least this, or at least its square "
        "root times exp(-entropy in nats) where that is less. 0, the default, is all."
    )
    neutral = 0.0
    place = 70
    in_transformers = "eta_cutoff"
    idle = 1e-30
    example = 0.1

    def least(self, probabilities: Tensor, rows: Tensor) -> Tensor:
        """The smaller of the two."""
        import torch

        # xlogy is not vectorised, and takes three times as long; logarithms of 0 take longer.
        scores = probabilities.clamp(min=torch.finfo(probabilities.dtype).tiny).log()
        entropy = -(probabilities * scores).sum(dim=-1)
        return rows.minimum(rows.sqrt() * (-entropy).exp())

    def excluded(
        self, value: Value, score: float, best: Sequence[float], slack: float
    ) -> str | None:
        """A less probable token; the entropy needs the log-probabilities of all."""
        entropy = -sum(math.exp(each) * each for each in best if each > -math.inf)
        least = min(math.log(value), math.log(value) / 2 - entropy)
        if score < min(least, best[0]) - 4 * slack:
            return f"probability {math.exp(score):.4f} where {math.exp(least):.4f} is the least"
        return None


RULE = Eta()
