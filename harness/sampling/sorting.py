"""Sorting a vocabulary. On a CPU numpy sorts numbers without indices 15 to 30 times as fast."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

_INDEX_BITS = 32


def descending(values: Tensor) -> Tensor:
    """Every row of [R, V] from its largest value to its smallest."""
    if values.device.type != "cpu":
        return values.sort(dim=-1, descending=True).values
    import numpy as np
    import torch

    return torch.from_numpy(np.sort(values.numpy(), axis=-1)).flip(-1)


def order(values: Tensor) -> Tensor:
    """For every row of [R, V] the indices of its values in ascending order, the first of equals
    first. The values are float32 and not negative, so that their bits are ordered as they are.
    """
    if values.device.type != "cpu":
        return values.sort(dim=-1, stable=True).indices
    import numpy as np
    import torch

    bits = values.view(torch.int32).long() << _INDEX_BITS
    packed = (bits | torch.arange(values.shape[-1])).numpy()
    indices: Tensor = torch.from_numpy(np.sort(packed, axis=-1)) & (2**_INDEX_BITS - 1)
    return indices
