"""What is told of a step: rank and probability of the chosen token, the largest probability and the
entropy, of the model's own distribution and of what sampling rules made of it.

A log has its numbers in the order of `LOGGED`.
"""

from __future__ import annotations

import torch

LOGGED = (
    "rank",
    "probability",
    "top_probability",
    "entropy",
    "drawn_rank",
    "drawn_probability",
    "drawn_top_probability",
    "drawn_entropy",
)
"""The names of a step's numbers in `Completion.traces`."""


def step_log(logits: torch.Tensor, left: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """Numbers [R, 8], float32, of tokens [R] drawn from logits [R, V], of which rules left `left`.

    A rank is 1 for the most probable token, and for all that are as probable. Entropies are in
    nats.
    """
    both = [number for each in (logits, left) for number in _of(each, tokens[:, None])]
    return torch.stack(both, dim=-1)


def traces_of(log: list[list[float]]) -> dict[str, tuple[float, ...]]:
    """A number per token for each column, of a log of every token's eight."""
    return dict(zip(LOGGED, zip(*log, strict=True), strict=True)) if log else {}


def _of(logits: torch.Tensor, tokens: torch.Tensor) -> tuple[torch.Tensor, ...]:
    scores = logits.log_softmax(dim=-1)
    probabilities = scores.exp()
    rank = (logits > logits.gather(-1, tokens)).sum(dim=-1) + 1
    entropy = -probabilities.mul(scores).nansum(dim=-1)  # 0 times -inf is 0
    chosen = probabilities.gather(-1, tokens)[:, 0]
    return rank.float(), chosen, probabilities.amax(dim=-1), entropy
