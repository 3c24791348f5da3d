"""Expert dropout: during training, hide random experts from some rows of a batch.

A mixture trained without it leans on a few experts per layer, and masking those few at inference
takes it from full accuracy to none in one step. With it, what a masked expert knew is partly known
elsewhere, and accuracy falls gradually. A hidden expert is treated as a router mask does that keeps
the token's own choice: its weight becomes 0, the other choices are renormalised, and a token whose
choices are all hidden keeps them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor


@contextmanager
def expert_dropout(
    model: Any, rows: int, *, row_share: float, most_hidden: float, generator: torch.Generator
) -> Iterator[None]:
    """Hide experts while the context is open and one batch of `rows` rows runs through the model.

    A row is affected with probability `row_share`; it then loses each expert of each layer with a
    probability that is itself uniform between 0 and `most_hidden`.
    """
    if not row_share:
        yield
        return
    gates = [layer.mlp.gate for layer in model.model.layers]
    affected = torch.rand(rows, generator=generator) < row_share
    rate = torch.rand(rows, generator=generator) * most_hidden * affected
    draw = torch.rand(len(gates), rows, gates[0].num_experts, generator=generator)
    hidden = draw < rate[None, :, None]
    handles = [
        gate.register_forward_hook(_hide(mask)) for gate, mask in zip(gates, hidden, strict=True)
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _hide(mask: Tensor) -> Any:
    """A hook on a gate that zeroes the weights of `mask` ([rows, experts], True is hidden)."""

    def hook(_gate: Any, _inputs: Any, output: tuple[Tensor, Tensor, Tensor]) -> Any:
        logits, weights, chosen = output
        rows = mask.shape[0]
        lost = mask.gather(1, chosen.view(rows, -1)).view_as(chosen)
        kept = weights.masked_fill(lost, 0.0)
        total = kept.sum(-1, keepdim=True)
        survivors = torch.where(total > 0, kept / total.clamp(min=1e-9), weights)
        return logits, survivors, chosen

    return hook
