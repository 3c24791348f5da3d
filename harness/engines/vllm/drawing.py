"""The one function behind vLLM's logits processors: rows that draw are left with what they draw."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch

from harness.engines.contract import Request
from harness.engines.decoding.noise import noise_key
from harness.engines.decoding.rules import RowRules, choose
from harness.sampling import StatefulRule
from harness.sampling.chosen import SamplingRules

#: Where a request carries its rules, in `SamplingParams.extra_args`.
KEY = "titrate_draw"


class DrawingRequest(NamedTuple):
    """A request that draws: its rules, the key of its noise, and tokens generated before it."""

    rules: SamplingRules
    key: int
    already: int


def refused(rules: SamplingRules, speculation: str | None) -> tuple[str, str] | None:
    """A rule that vLLM cannot follow, and why not; None where it follows all of them."""
    for rule in rules.acting:
        value = json.dumps(rule.plain(rules[rule.name]))
        if isinstance(rule, StatefulRule):
            return rule.name, (
                f"{value} keeps a state for every sequence, which vllm cannot bring "
                "back; leave it out, or use engine.name: transformers"
            )
        if speculation is not None:
            return rule.name, (
                f"{value} with engine.speculation: {speculation}, which keeps greedy "
                f"decoding only; leave speculation or {rule.name} out"
            )
    return None


def payload(request: Request) -> list[Any] | None:
    """What a request carries about drawing; None for one that is plainly greedy."""
    rules = request.sampling
    if not rules.acting:
        return None
    key = noise_key(request.seed, request.sample, request.draw)
    return [rules.plain(), key, request.continued]


def drawn_of(arguments: Mapping[str, Any] | None) -> DrawingRequest | None:
    """What `payload` wrote; None for a request that is plainly greedy, or not ours."""
    carried = (arguments or {}).get(KEY)
    if carried is None:
        return None
    rules, key, already = carried
    return DrawingRequest(SamplingRules.of(rules), key, already)


def force(
    logits: torch.Tensor,
    rows: torch.Tensor,
    drawn: Sequence[DrawingRequest],
    generated: torch.Tensor,
) -> torch.Tensor:
    """Set every logit but the chosen token's to -inf, in `rows` [D] of logits [R, V], in place.

    `generated` [D] counts the tokens that each of them has generated so far.
    """
    rules = RowRules.of([each.rules for each in drawn], logits.device)
    keys = torch.tensor([each.key for each in drawn], device=logits.device)
    chosen = choose(logits[rows].float(), rules, keys, generated.to(keys)).tokens
    logits[rows] = -torch.inf
    logits[rows, chosen] = 0.0
    return logits
