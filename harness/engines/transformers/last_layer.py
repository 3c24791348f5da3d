"""In the last layer only those tokens attend, and are fed forward, whose logits are asked for.

Of all others nothing but keys and values is read there. So the layer's queries and the input of its
feed-forward part are cut to the last tokens of a pass, and what comes out is filled up with zeros.
Where an intervention acts in this layer it runs whole: what is done to a token may be counted.

Whether a model's code takes that is found out by `trial.py` before any request.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakSet

import torch
from torch.nn import functional as F

from harness.engines.transformers.attention import last_queries
from harness.interventions.base import Intervention
from harness.models.sites import decoder_blocks, site_module

#: Models whose last layer can be cut.
able: WeakSet[Any] = WeakSet()


def can_be_cut(model: Any, interventions: Iterable[Intervention | None]) -> bool:
    """Whether the last layer of a pass under these interventions may leave tokens out.

    A neutral dose acts nowhere: by itself it is computed as its baseline is, to the bit.
    """
    if model not in able:
        return False
    last = len(decoder_blocks(model)) - 1
    return not any(
        each is not None and each.acts_in(last) and not each.is_neutral
        for each in set(interventions)
    )


@contextmanager
def last_layer_cut(model: Any, tokens: int) -> Iterator[None]:
    """Inside, only so many last tokens of every row go through all of the last layer."""
    last = len(decoder_blocks(model)) - 1
    mlp = site_module(model, last, "mlp")
    width = 0

    def cut(_module: Any, inputs: Any) -> Any:
        nonlocal width
        hidden, *others = inputs
        width = hidden.shape[1]
        return (hidden[:, -tokens:].contiguous(), *others)

    def fill(_module: Any, _inputs: Any, output: Any) -> Any:
        hidden: torch.Tensor = output[0] if isinstance(output, tuple) else output
        filled = F.pad(hidden, (0, 0, width - hidden.shape[1], 0))
        return (filled, *output[1:]) if isinstance(output, tuple) else filled

    # In front of hooks that read this output.
    hooks = mlp.register_forward_pre_hook(cut), mlp.register_forward_hook(fill, prepend=True)
    try:
        with last_queries(site_module(model, last, "attention"), tokens):
            yield
    finally:
        for hook in hooks:
            hook.remove()
