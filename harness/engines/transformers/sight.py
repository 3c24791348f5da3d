"""What a pass has inside at the last token of its rows, for the requests that ask for it.

Attention is that of the last layer: scores are computed once more for one query of each row, from
the keys that the pass reads, so that a pass that nobody looks into costs nothing. Hidden states are
taken down by hooks. Both come back on the CPU, in float32.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch

from harness.engines.transformers.attention import watching
from harness.engines.transformers.residents import Resident
from harness.models.sites import decoder_blocks, site_module


@contextmanager
def seen(model: Any, sequences: Sequence[Resident]) -> Iterator[None]:
    """Give these sequences, which are the rows of the one pass inside, what they ask to see.

    Attention stays None under another kernel than sdpa, which does not show it.
    """
    states: dict[Any, torch.Tensor] = {}

    def keep(place: Any, _module: Any, _inputs: Any, output: Any) -> None:
        states[place] = (output[0] if isinstance(output, tuple) else output)[:, -1]

    with ExitStack() as stack:
        last = site_module(model, len(decoder_blocks(model)) - 1, "attention")
        watch = stack.enter_context(watching(last))
        for place in {at for each in sequences if (at := each.request.hidden) is not None}:
            handle = site_module(model, *place).register_forward_hook(partial(keep, place))
            stack.callback(handle.remove)
        yield
    scores = watch.scores[-1][:, :, 0] if watch.scores else None
    for row, sequence in enumerate(sequences):
        if sequence.request.attention and scores is not None:
            sequence.attention = _of_row(scores[row % len(scores)])
        if sequence.request.hidden is not None:
            kept = states[sequence.request.hidden]
            sequence.hidden = kept[row % len(kept)].to("cpu", torch.float32, copy=True)


def _of_row(scores: torch.Tensor) -> torch.Tensor:
    """Weights and scores [2, heads, K] over what one token may see, of scores [heads, columns]."""
    own = scores[:, scores[0] > -torch.inf].cpu()
    return torch.stack([own.softmax(dim=-1), own])
