"""P-less: keeps what is at least as probable as a draw agrees with another (arXiv 2509.23234)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.sampling.masks import ThresholdRule
from harness.sampling.rule import Value

if TYPE_CHECKING:
    from torch import Tensor


class PLess(ThresholdRule):
    """Keeps tokens with at least the sum of all squared probabilities; it has no setting."""

    name = "p_less"
    field = bool
    description = (
        "Tokens are drawn from those whose probability is at least the sum of all squared "
        "probabilities. false, the default, is all."
    )
    neutral = False
    place = 14
    example = True

    def least(self, probabilities: Tensor, rows: Tensor) -> Tensor:
        """How probable two draws agree; between 1 / V and the largest probability."""
        return rows * probabilities.square().sum(dim=-1)

    def excluded(
        self, value: Value, score: float, best: Sequence[float], slack: float
    ) -> str | None:
        """A less probable token; the sum needs the log-probabilities of all."""
        del value
        least = math.log(sum(math.exp(2 * each) for each in best))
        if score < min(least, best[0]) - 4 * slack:
            return f"probability {math.exp(score):.4f} where {math.exp(least):.4f} is the least"
        return None


RULE = PLess()
