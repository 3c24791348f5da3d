"""A kind by `next_token_logits`: one token becomes less probable, more so with every step."""

from __future__ import annotations

from typing import Literal, Self

import torch

from harness.interventions.kind import Kind
from harness.interventions.next_token_logits import NextTokenLogits
from harness.invariants.family import Family
from harness.spec.intervention import InterventionSettings


class BanSettings(InterventionSettings):
    """Lowers every second token's logits."""

    kind: Literal["ban"]
    """What is done: ban."""
    first: Literal[0, 1]
    """Even tokens, or odd ones."""
    strength: float
    """The dose; 0 is neutral."""

    def neutral(self) -> Self:
        return self.model_copy(update={"strength": 0.0})


class Ban(NextTokenLogits):
    kind: Literal["ban"] = "ban"
    first: int = 0
    strength: float = 0.0

    def neutral(self) -> Self:
        return self.model_copy(update={"strength": 0.0})

    def rows(self, vocabulary):
        banned = torch.zeros(vocabulary)
        banned[self.first :: 2] = self.strength
        return {"banned": banned}

    @staticmethod
    def changed(logits, rows, steps):
        return logits - rows["banned"] * (1 + steps.clamp(min=0))[:, None]


KIND = Kind(
    "ban",
    "Every second token is made less probable.",
    mechanism="next_token_logits",
    section=BanSettings,
    description=Ban,
    identities=Family("ban", doses=lambda _config: (Ban(strength=0.5), Ban(first=1, strength=4.0))),
)
