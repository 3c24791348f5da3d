"""Random steps to hold samplers against each other with: flat and peaked ones, and many ties."""

from __future__ import annotations

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
