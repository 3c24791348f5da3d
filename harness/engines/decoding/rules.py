"""Draws the next token of every row under the row's own rules; pure functions on tensors.

Shapes: R rows, V vocabulary. A row's result depends on its own logits, rules, key and position
only, never on the rows beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch

from harness.engines.contract import SamplingRules
from harness.engines.decoding.noise import gumbel


@dataclass(frozen=True)
class RowRules:
    """The sampling rules of R rows as tensors, [R] each; a temperature of 0 marks a greedy row."""

    temperature: torch.Tensor
    top_k: torch.Tensor
    top_p: torch.Tensor
    min_p: torch.Tensor
    greedy_threshold: torch.Tensor
    all_greedy: bool
    any_truncation: bool

    @classmethod
    def of(cls, rules: Sequence[SamplingRules], device: torch.device) -> RowRules:
        """Stack rows' rules; `all_greedy` and `any_truncation` save work, never change results."""
        largest = torch.iinfo(torch.int64).max

        def column(values: list[float], dtype: torch.dtype) -> torch.Tensor:
            return torch.tensor(values, dtype=dtype, device=device)

        return cls(
            temperature=column([rule.temperature for rule in rules], torch.float32),
            top_k=column([rule.top_k or largest for rule in rules], torch.int64),
            top_p=column([rule.top_p for rule in rules], torch.float32),
            min_p=column([rule.min_p for rule in rules], torch.float32),
            greedy_threshold=column([rule.greedy_threshold for rule in rules], torch.float32),
            all_greedy=all(rule.temperature == 0 for rule in rules),
            any_truncation=any(
                rule.top_k is not None
                or rule.top_p < 1
                or rule.min_p > 0
                or rule.greedy_threshold > 0
                for rule in rules
            ),
        )

    def __getitem__(self, rows: slice) -> RowRules:
        """The rules of some of the rows."""
        return replace(
            self,
            temperature=self.temperature[rows],
            top_k=self.top_k[rows],
            top_p=self.top_p[rows],
            min_p=self.min_p[rows],
            greedy_threshold=self.greedy_threshold[rows],
        )

    def repeat(self, times: int) -> RowRules:
        """Every row's rules so many times in a row."""
        if times == 1:
            return self
        return replace(
            self,
            temperature=self.temperature.repeat_interleave(times),
            top_k=self.top_k.repeat_interleave(times),
            top_p=self.top_p.repeat_interleave(times),
            min_p=self.min_p.repeat_interleave(times),
            greedy_threshold=self.greedy_threshold.repeat_interleave(times),
        )


class Choice(NamedTuple):
    """Chosen token ids [R] and their log-probabilities [R] under the untempered distribution."""

    tokens: torch.Tensor
    log_probabilities: torch.Tensor


def choose(
    logits: torch.Tensor, rules: RowRules, keys: torch.Tensor, positions: torch.Tensor
) -> Choice:
    """Draw one token for each row of `logits` [R, V] (float32).

    `keys` [R] are `noise_key`s and `positions` [R] count the tokens generated so far. Greedy rows
    take the first of equal maxima.
    """
    tokens = logits.argmax(dim=-1)
    if not rules.all_greedy:
        greedy = rules.temperature == 0
        tempered = logits / rules.temperature.masked_fill(greedy, 1.0)[:, None]
        if rules.any_truncation:
            tempered = greedy_below(tempered, rules.greedy_threshold)
            tempered = truncate(tempered, rules.top_k, rules.top_p, rules.min_p)
        noisy = tempered.log_softmax(dim=-1) + gumbel(keys, positions, logits.shape[-1])
        tokens = torch.where(greedy, tokens, noisy.argmax(dim=-1))
    chosen = logits.gather(-1, tokens[:, None])[:, 0]
    return Choice(tokens, chosen - logits.logsumexp(dim=-1))


def greedy_below(logits: torch.Tensor, thresholds: torch.Tensor) -> torch.Tensor:
    """Leave only the best token of rows [R, V] whose best probability is below theirs [R].

    Greedy-threshold decoding: a model that is unsure of every token draws noise rather than
    variety. The comparison is strict, so that a threshold of 0 is off; logits are tempered ones.
    """
    best = logits.argmax(dim=-1, keepdim=True)
    unsure = logits.softmax(dim=-1).gather(-1, best) < thresholds[:, None]
    others = torch.ones_like(logits, dtype=torch.bool).scatter(-1, best, value=False)
    return logits.masked_fill(unsure & others, -torch.inf)


def truncate(
    logits: torch.Tensor, top_k: torch.Tensor, top_p: torch.Tensor, min_p: torch.Tensor
) -> torch.Tensor:
    """Set the logits [R, V] of tokens outside each row's candidate set to -inf.

    In this order, as in transformers' logits processors: the `top_k` most probable; of these,
    renormalised, the smallest set whose mass reaches `top_p`; of these, the ones with at least
    `min_p` times the best one's probability. The most probable token always stays.
    """
    ordered, order = logits.sort(dim=-1, descending=True, stable=True)
    ranks = torch.arange(logits.shape[-1], device=logits.device)
    keep = ranks < top_k[:, None]
    probabilities = ordered.masked_fill(~keep, -torch.inf).softmax(dim=-1)
    mass_before = probabilities.cumsum(dim=-1) - probabilities
    keep &= mass_before < top_p[:, None]
    keep &= probabilities >= min_p[:, None] * probabilities[:, :1]
    keep[:, 0] = True
    return logits.masked_fill(~torch.zeros_like(keep).scatter(-1, order, keep), -torch.inf)
