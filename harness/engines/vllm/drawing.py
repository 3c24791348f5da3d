"""The one function behind vLLM's logits processors: rows that draw are left with what they draw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch

from harness.engines.contract import Request, SamplingRules
from harness.engines.decoding.noise import noise_key
from harness.engines.decoding.rules import RowRules, choose

#: Where a request carries its rules, in `SamplingParams.extra_args`.
KEY = "titrate_draw"


class Drawn(NamedTuple):
    """A request that draws: its rules, the key of its noise, and tokens generated before it."""

    rules: SamplingRules
    key: int
    already: int


def payload(request: Request) -> list[Any] | None:
    """What a request carries about drawing; None for a greedy one."""
    rules = request.sampling
    if rules.temperature == 0:
        return None
    key = noise_key(request.seed, request.sample, request.draw)
    return [
        [rules.temperature, rules.top_k, rules.top_p, rules.min_p, rules.greedy_threshold],
        key,
        request.continued,
    ]


def drawn_of(arguments: Mapping[str, Any] | None) -> Drawn | None:
    """What `payload` wrote; None for a request that is greedy, or not ours."""
    carried = (arguments or {}).get(KEY)
    if carried is None:
        return None
    rules, key, already = carried
    return Drawn(SamplingRules(*rules), key, already)


def force(
    logits: torch.Tensor, rows: torch.Tensor, drawn: Sequence[Drawn], generated: torch.Tensor
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
