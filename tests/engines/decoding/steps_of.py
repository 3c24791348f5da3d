"""Random steps to hold samplers against each other with: flat and peaked ones, and many ties."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from harness.engines.decoding.cutting import applied
from harness.engines.decoding.rules import RowRules
from harness.sampling.chosen import SamplingRules

STEPS = 10_000
CPU = torch.device("cpu")


def steps(vocabulary: int = 200, rows: int = STEPS) -> torch.Tensor:
    """Logits [rows, vocabulary]; every third row is rounded to quarters, every 50th is flat."""
    generator = torch.Generator().manual_seed(1)
    spread = torch.rand(rows, 1, generator=generator) * 6 + 0.2
    logits = torch.randn(rows, vocabulary, generator=generator) * spread
    logits[::3] = (logits[::3] * 4).round() / 4
    logits[::50] = 1.0
    return logits


def left(logits: torch.Tensor, **values: object) -> torch.Tensor:
    """Logits under one row's rules, which are drawn at a temperature of 1 unless they say one."""
    own = SamplingRules(**{"temperature": 1.0} | values)
    return applied(logits, RowRules.of([own] * len(logits), CPU).acting, {})


def first(logits: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    """Logits of so many tokens of every row, those of the lowest ids among equals."""
    order = logits.argsort(dim=-1, descending=True, stable=True)
    kept = torch.arange(logits.shape[-1]) < counts[:, None]
    return logits.masked_fill(~torch.zeros_like(kept).scatter(-1, order, kept), -torch.inf)


#: Rules at whose edge a peer takes of equal tokens what a sort leaves there that is not stable:
#: another order of the vocabulary, machine or version of torch, and it takes others.
UNSTABLE = frozenset({"top_p", "top_h"})


def assert_the_same(own: torch.Tensor, peer: torch.Tensor, rules: Iterable[str]) -> None:
    """Logits that ours and a peer's rules have left are equal bit for bit, ties included.

    Behind an unstable sort a row's kept logits are equal as they are; which tokens they belong to
    may differ where others have the same logit, and nowhere else.
    """
    if UNSTABLE.isdisjoint(rules):
        assert torch.equal(own, peer)
    else:
        assert torch.equal(own.sort(dim=-1).values, peer.sort(dim=-1).values)
