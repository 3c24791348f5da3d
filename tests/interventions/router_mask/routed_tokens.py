"""Random tokens with their routing and a mask for each, as a strategy."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from hypothesis import settings
from hypothesis import strategies as st

from harness.interventions.router_logits import Routing, route


@dataclass(frozen=True)
class Tokens:
    """The arguments of `route` for N tokens, the model's own routing included."""

    logits: torch.Tensor
    scores: torch.Tensor
    indices: torch.Tensor
    mask: torch.Tensor
    replace: torch.Tensor
    zero: torch.Tensor

    def __len__(self) -> int:
        return len(self.logits)

    def route(self) -> Routing:
        return route(self.logits, self.scores, self.indices, self.mask, self.replace, self.zero)

    def but(self, **changes: torch.Tensor | bool) -> Tokens:
        """The same tokens with other masks or modes; a bool stands for all rows."""
        tensors = {
            name: torch.full((len(self),), value) if isinstance(value, bool) else value
            for name, value in changes.items()
        }
        return replace(self, **tensors)

    def row(self, i: int) -> Tokens:
        return Tokens(*(getattr(self, name)[i : i + 1] for name in self.__dataclass_fields__))

    def own(self, i: int) -> set[int]:
        return set(self.indices[i].tolist())

    def masked(self, i: int) -> set[int]:
        return set(self.mask[i].nonzero().flatten().tolist())


def own_routing(logits, k, *, norm):
    """What Qwen3-MoE and its kin do without a mask."""
    values, indices = logits.float().softmax(1).topk(k, dim=1)
    if norm:
        values = values / values.sum(1, keepdim=True)
    return values.to(logits.dtype), indices


def support(routing: Routing, i: int) -> set[int]:
    """The experts that a token's output is made of."""
    return {e for e, w in weights(routing, i).items() if w != 0}


def weights(routing: Routing, i: int) -> dict[int, float]:
    return dict(zip(routing.indices[i].tolist(), routing.scores[i].tolist(), strict=True))


@st.composite
def tokens(draw, *, norm=None, room=False) -> Tokens:
    """Tokens of mixed masks and modes. `room`: every mask leaves at least k experts."""
    count, experts = draw(st.integers(1, 6)), draw(st.integers(2, 9))
    k = draw(st.integers(1, experts - 1))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scale = draw(st.sampled_from([0.1, 1.0, 5.0]))
    norm = draw(st.booleans()) if norm is None else norm

    # A shuffled grid with jitter: random, and no two logits of a token within half a step.
    grid = np.stack([rng.permutation(experts) for _ in range(count)]) - experts / 2
    logits = torch.from_numpy(scale * (grid + rng.uniform(-0.25, 0.25, grid.shape))).float()
    scores, indices = own_routing(logits, k, norm=norm)

    mask = torch.zeros(count, experts, dtype=torch.bool)
    for row in mask:
        size = rng.integers(0, (experts - k if room else experts) + 1)
        row[rng.permutation(experts)[:size]] = True
    modes = (torch.from_numpy(rng.random(count) < 0.5) for _ in range(2))
    return Tokens(logits, scores, indices, mask, *modes)


def without_ties(function):
    # torch's first call alone exceeds hypothesis' deadline.
    return settings(max_examples=80, deadline=None)(function)
