"""Products of experts on a CPU, with rows gathered as whole rows.

transformers' `grouped_mm` sorts tokens by expert, multiplies group by group and puts the results
back; on a CPU its gathers take four times as long as `index_select` (docs/performance.md). This is
the same arithmetic in the same order, bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers.integrations.moe import (
    ExpertsInterface,
    _grouped_linear,
    grouped_mm_experts_forward,
)

NAME = "titrate_grouped_rows"


def grouped_rows(
    experts: Any, hidden: torch.Tensor, indices: torch.Tensor, weights: torch.Tensor
) -> torch.Tensor:
    """Sum over a token's k experts: hidden [N, H], indices and weights [N, k]; the result [N, H].

    The contract is that of transformers' experts functions. Experts with biases or without gates,
    and other devices, are left to `grouped_mm`.
    """
    usual = experts.has_gate and not experts.has_bias
    if hidden.device.type != "cpu" or not usual or getattr(experts, "_is_expert_parallel", False):
        output: torch.Tensor = grouped_mm_experts_forward(experts, hidden, indices, weights)
        return output
    tokens, k = indices.shape
    chosen, order = indices.flatten().sort()
    ends = torch.bincount(chosen, minlength=experts.num_experts).cumsum(0, dtype=torch.int32)
    rows = hidden.index_select(0, order // k)
    layout = {"offs": ends, "is_transposed": experts.is_transposed}
    rows = experts._apply_gate(_grouped_linear(rows, experts.gate_up_proj, **layout))  # noqa: SLF001
    rows = _grouped_linear(rows, experts.down_proj, **layout)
    rows *= weights.flatten().index_select(0, order)[:, None]
    back = torch.empty_like(order).scatter_(0, order, torch.arange(len(order)))
    summed: torch.Tensor = rows.index_select(0, back).view(tokens, k, -1).sum(1)
    return summed


ExpertsInterface.register(NAME, grouped_rows)


def experts_implementation(model: Any, *, strict: bool) -> str | None:
    """How products of experts are made: None for a model without, or without a choice.

    Grouped products change shape with what the other rows route where, so `strict` makes every
    token's own. What a stream has put in place while it runs is the model's own in other words.
    """
    own: str | None = getattr(model.config, "_experts_implementation", None)
    own = "grouped_mm" if own == NAME else own
    return "batched_mm" if strict and own else own


@contextmanager
def experts_as(model: Any, *, strict: bool) -> Iterator[None]:
    """Make products of experts so inside, `grouped_mm` by `grouped_rows`; then as before."""
    before = getattr(model.config, "_experts_implementation", None)
    wanted = experts_implementation(model, strict=strict)
    wanted = NAME if wanted == "grouped_mm" else wanted
    if wanted == before:
        yield
        return
    model.set_experts_implementation(wanted)
    try:
        yield
    finally:
        model.set_experts_implementation(before)
