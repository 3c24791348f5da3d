"""What next-token logits say of given tokens: read a piece at a time.

Over a large vocabulary logits are most of the memory of a pass that reads texts, so that passes
have no more than so many, and no second copy of them is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch

from harness.models.loading import LoadedModel

# Logits of one pass: 128 MiB in float32 on a CPU, four times that on an accelerator.
_MOST_LOGITS = {"cpu": 2**25}
_MOST_LOGITS_ELSEWHERE = 2**27
# Logits that are read at a time on a CPU: they stay in its cache from the first step to the last.
_PIECE_LOGITS = 2**19


def tokens_with_logits(loaded: LoadedModel) -> int:
    """Of how many tokens one pass may compute logits."""
    most = _MOST_LOGITS.get(loaded.device.type, _MOST_LOGITS_ELSEWHERE)
    return max(1, most // int(loaded.model.get_input_embeddings().num_embeddings))


def said_of(logits: torch.Tensor, places: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Log-probabilities of targets [N] by logits [M, V] at places [N], and whether no other token
    is more probable, as [2, N].
    """
    found = [
        _read_out(logits.index_select(0, place), target)
        for place, target in zip(_pieces(places, logits), _pieces(targets, logits), strict=True)
    ]
    return torch.cat(found, dim=1)


class MostProbable(NamedTuple):
    """Log-probabilities and ids [N, K], the most probable first."""

    values: torch.Tensor
    indices: torch.Tensor


def most_probable(logits: torch.Tensor, places: torch.Tensor, count: int) -> MostProbable:
    """So many of the most probable tokens by logits [M, V] at places [N]."""
    found = [
        logits.index_select(0, place).float().log_softmax(dim=-1).topk(count, dim=-1)
        for place in _pieces(places, logits)
    ]
    return MostProbable(
        torch.cat([each.values for each in found]), torch.cat([each.indices for each in found])
    )


def _pieces(values: torch.Tensor, logits: torch.Tensor) -> Sequence[torch.Tensor]:
    size = len(values) if logits.device.type != "cpu" else _PIECE_LOGITS // logits.shape[-1]
    return torch.split(values, max(1, size))


def _read_out(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """`said_of` of one piece, [N, V], which is its own copy."""
    logits = logits.float()
    own, most = logits.gather(-1, targets[:, None]), logits.amax(dim=-1, keepdim=True)
    # In place: `logsumexp` would hold all of it once more.
    total = logits.sub_(most).exp_().sum(dim=-1, keepdim=True).log_().add_(most)
    return torch.stack([own - total, (own >= most).float()])[..., 0]
