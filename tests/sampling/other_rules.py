"""Rules of another package: two that keep a state, and one that only a spec's author would want."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field

from harness.sampling import CountRule, StatefulRule


class Cooling(StatefulRule):
    """Draws at a temperature that falls by a share with every token."""

    name = "cooling"
    field = Annotated[float, Field(ge=0, lt=1)]
    description = "The temperature begins at 2 and falls by this share with every token; 0 is off."
    neutral = 0.0
    place = 5
    draws = True
    keeps_best = True
    example = 0.3
    width = 1

    def initial(self, value, prompt):
        return (2.0,)

    def apply(self, logits, rows, state):
        divisors = torch.where(rows > 0, state[:, 0], 1.0)
        return logits / divisors[:, None], state * (1 - rows)[:, None]


class Unrepeated(StatefulRule):
    """Never says the last token again: greedy rows feel it, too."""

    name = "unrepeated"
    field = bool
    description = "Whether a token that has just been said is out; false by default."
    neutral = False
    place = 6
    example = True
    width = 1

    def initial(self, value, prompt):
        return (float(prompt[-1]),)

    def apply(self, logits, rows, state):
        last = state.long()
        kept = torch.where(rows[:, None] > 0, -torch.inf, logits.gather(-1, last))
        return logits.scatter(-1, last, kept), state

    def drawn(self, tokens, log_probabilities, rows, state):
        return tokens[:, None].float()


class EvenRanks(CountRule):
    """Keeps an even number of tokens, such as a tester might want."""

    name = "even_ranks"
    field = Annotated[int, Field(ge=2, multiple_of=2)] | None
    description = "Tokens are drawn from this even number of the most probable ones; null is all."
    neutral = None
    place = 50
    idle = 2**20
    example = 4

    def tensors(self, rows, device):
        return torch.tensor([value or 2**20 for value in rows], device=device)

    def apply(self, ordered, rows):
        return rows


COOLING, UNREPEATED, EVEN_RANKS = Cooling(), Unrepeated(), EvenRanks()
