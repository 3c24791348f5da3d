"""Top-H: keeps most of the entropy's first part (Potraghloo et al. 2025, arXiv 2509.02510)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from harness.sampling.rule import CountRule, Value

if TYPE_CHECKING:
    from torch import Tensor

_CAP = 100
"""Part of the rule: no other token stays, and the entropy is that of these alone."""


class TopH(CountRule):
    """Keeps the most probable tokens whose entropy terms add up to a share of the entropy."""

    name = "top_h"
    field = Annotated[float, Field(gt=0, le=1)] | None
    description = (
        "Tokens are drawn from the most probable ones, 100 at most, whose terms of the entropy of "
        "those 100 add up to this share of it. null, the default, is all."
    )
    neutral = None
    weakens = True
    place = 15
    strictest = 1e-6
    example = 0.5

    def most(self, value: Value) -> int:
        """The cap."""
        del value
        return _CAP

    def apply(self, ordered: Tensor, rows: Tensor) -> Tensor:
        """Tokens up to the share; the first that exceeds it is out."""
        import torch

        top = ordered[:, :_CAP]
        scores = top - top.logsumexp(dim=-1, keepdim=True)
        probabilities = scores.softmax(dim=-1)
        entropy = -(scores.clamp(min=torch.finfo(scores.dtype).min) * probabilities).sum(dim=-1)
        terms = -probabilities * probabilities.log()
        return (terms.cumsum(dim=-1) <= (entropy * rows)[:, None]).sum(dim=-1)

    def excluded(
        self, value: Value, score: float, best: Sequence[float], slack: float
    ) -> str | None:
        """A token at which the terms have exceeded the share."""
        top = best[:_CAP]
        mass = math.log(sum(math.exp(each) for each in top))
        terms = [(mass - each) * math.exp(each - mass) for each in top if each > -math.inf]
        told = sum(term for term, each in zip(terms, top, strict=False) if each > score - slack)
        if score < best[0] - slack and told > value * sum(terms) + 20 * slack:
            return f"{told:.3f} of {sum(terms):.3f} nats up to this token, top_h is {value}"
        return None


RULE = TopH()
