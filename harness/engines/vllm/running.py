"""Requests that are inside vLLM: what each has said so far, and why it ended."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from harness.engines.base import Completion, FinishReason, Request
from harness.engines.endings import Endings
from harness.engines.vllm.conditions import Lease, additions
from harness.interventions.router_mask import RouterMask
from harness.interventions.steering import Steering


@dataclass(eq=False)
class Running:
    """One request inside vLLM; `position` is its place among those that were asked for."""

    position: int
    request: Request
    lease: Lease
    tokens: list[int] = field(default_factory=list)
    log_probabilities: list[float] = field(default_factory=list)
    distribution: torch.Tensor | None = None

    @property
    def length(self) -> int:
        """Tokens that the model was fed: all but the last generated one."""
        return len(self.request.prompt) + max(len(self.tokens) - 1, 0)

    @property
    def counts(self) -> bool:
        """Whether the workers counted anything for it."""
        return bool(self.lease.payload.get("counted"))

    def take(self, output: Any, endings: Endings) -> FinishReason | None:
        """Append the new tokens of vLLM's output, up to the first reason to end."""
        for token, entry in zip(output.token_ids, output.logprobs or (), strict=True):
            score = entry[token].logprob
            if not math.isfinite(score):
                return "non_finite"
            self.tokens.append(token)
            self.log_probabilities.append(score)
            if self.request.distribution:
                self.distribution = _distribution(entry)
            reason = endings.reason(self)
            if reason is not None:
                return reason
        return None

    def completion(
        self, reason: FinishReason, endings: Endings, counted: Sequence[int], routers: int
    ) -> Completion:
        """What came of it; `counted` are routings changed and emptied, conditional additions.

        `routers` says how many routers each token passed.
        """
        return Completion(
            tokens=tuple(self.tokens),
            text=endings.text(self),
            finish_reason=reason,
            log_probabilities=tuple(self.log_probabilities),
            counts=self._counts(counted, routers),
            distribution=self.distribution,
        )

    def _counts(self, counted: Sequence[int], routers: int) -> dict[str, int]:
        intervention, length = self.request.intervention, self.length
        if isinstance(intervention, RouterMask) and intervention.points:
            changed, emptied, _ = counted
            return {"routed": length * routers, "changed": changed, "emptied": emptied}
        if isinstance(intervention, Steering) and intervention.terms:
            made = additions(intervention.terms, self.request.prompt_length, length)
            return {"steered": made + counted[2], "steered_tokens": length}
        return {}


def _distribution(entry: Any) -> torch.Tensor:
    """An entry of all tokens as log-probabilities [V]."""
    scores = torch.empty(len(entry))
    for token, found in entry.items():
        scores[token] = found.logprob
    return scores
