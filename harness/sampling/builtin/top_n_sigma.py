"""Top-n-sigma: keeps what is within some standard deviations of the best (arXiv 2411.07641)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from harness.sampling.rule import MaskRule, Value
from harness.sampling.scans import at_least, only, there

if TYPE_CHECKING:
    from torch import Tensor


class TopNSigma(MaskRule):
    """Keeps tokens whose logit is within n standard deviations of the best one's.

    The deviation is that of the whole vocabulary, which is why this rule comes first. Temperature
    changes nothing of what is kept.
    """

    name = "top_n_sigma"
    field = Annotated[float, Field(gt=0)] | None
    description = (
        "Tokens are drawn from those whose logit is within this many standard deviations of the "
        "best one's. null, the default, is all."
    )
    neutral = None
    weakens = True
    place = 5
    keeps_best = True
    idle = 1e6
    strictest = 1e-6
    example = 1.0
    lost: ClassVar[int] = 1
    """Degrees of freedom that the deviation loses: 1 for the authors', 0 for llama.cpp's."""

    def apply(self, logits: Tensor, rows: Tensor) -> Tensor:
        """Tokens above the best minus n deviations; what is out already has no part in these."""
        left = there(logits)
        count = left.sum(dim=-1)
        mean = only(left, logits, 0.0).sum(dim=-1) / count
        squares = only(left, (logits - mean[:, None]).square(), 0.0).sum(dim=-1)
        deviation = (squares / (count - self.lost).clamp(min=1)).sqrt()
        return at_least(logits, logits.amax(dim=-1) - rows * deviation)

    def excluded(
        self, value: Value, score: float, best: Sequence[float], slack: float
    ) -> str | None:
        """A token further away; the deviation needs the log-probabilities of all."""
        left = [each for each in best if each > -math.inf]
        mean = sum(left) / len(left)
        squares = sum((each - mean) ** 2 for each in left)
        deviation = math.sqrt(squares / max(1, len(left) - self.lost))
        if score < best[0] - value * deviation - 10 * slack:
            away = (best[0] - score) / deviation
            return f"{away:.3f} deviations below the best, top_n_sigma is {value}"
        return None


class _OfAll(TopNSigma):
    """With the deviation of a whole population."""

    lost = 0


RULE = TopNSigma()
OF_ALL = _OfAll()
