"""Masks that several rules give: the best token alone, and thresholds of probability."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.sampling.rule import MaskRule
from harness.sampling.scans import at_least, best

if TYPE_CHECKING:
    from torch import Tensor


def only_best(logits: Tensor) -> Tensor:
    """The first of the most probable tokens, bool [R, V] of logits [R, V]."""
    import torch

    alone = torch.zeros_like(logits, dtype=torch.bool)
    return alone.scatter_(-1, best(logits)[:, None], value=True)


class ThresholdRule(MaskRule):
    """Keeps tokens whose probability is high enough, and in any case the most probable ones.

    Tokens that are equally probable stay together.
    """

    keeps_best = True

    def least(self, probabilities: Tensor, rows: Tensor) -> Tensor:
        """The probability [R] from which on tokens stay, of probabilities [R, V]."""
        raise NotImplementedError

    def apply(self, logits: Tensor, rows: Tensor) -> Tensor:
        """The tokens at or above it, and the maxima."""
        probabilities = logits.softmax(dim=-1)
        least = self.least(probabilities, rows)
        # A threshold above the largest probability keeps the largest: rounding may lift it there.
        return at_least(probabilities, least.minimum(probabilities.amax(dim=-1)))
