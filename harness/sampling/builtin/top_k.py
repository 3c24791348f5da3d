"""Top-k: draws from the k most probable tokens (Fan et al. 2018)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import PositiveInt

from harness.sampling.rule import CountRule, Value

if TYPE_CHECKING:
    from torch import Tensor, device


class TopK(CountRule):
    """Keeps the k most probable tokens, and what is as probable as the last of them."""

    name = "top_k"
    field = PositiveInt | None
    description = (
        "Tokens are drawn from this many of the most probable ones, and from those that tie with "
        "the last of them. null, the default, is all."
    )
    neutral = None
    weakens = True
    place = 20
    on_servers = frozenset({"tokens"})
    column = 1
    idle = 2**31
    strictest = 1
    example = 3

    def content(self, value: Value) -> tuple[Value, ...]:
        """The bare value, always."""
        return (value,)

    def most(self, value: Value) -> int:
        """The count itself."""
        return int(value)

    def tensors(self, rows: Sequence[Value], device: device) -> Tensor:
        """Counts [R], int64."""
        import torch

        return torch.tensor(rows, device=device)

    def apply(self, ordered: Tensor, rows: Tensor) -> Tensor:
        """The count, and what ties with its last token."""
        last = ordered.gather(-1, rows.clamp(max=ordered.shape[-1])[:, None] - 1)
        return (ordered >= last).sum(dim=-1)

    def excluded(
        self, value: Value, score: float, best: Sequence[float], slack: float
    ) -> str | None:
        """A token with k or more that are more probable."""
        above = sum(other > score + slack for other in best)
        return f"{above} tokens are more probable, top_k is {value}" if above >= value else None


class _Exactly(TopK):
    """Keeps no more than k: of equally probable tokens the first come in."""

    def apply(self, ordered: Tensor, rows: Tensor) -> Tensor:
        """The count itself."""
        del ordered
        return rows


RULE = TopK()
EXACTLY = _Exactly()
