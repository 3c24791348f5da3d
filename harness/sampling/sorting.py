"""Sorting a vocabulary. On a CPU numpy sorts floats without their indices 30 times faster."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def descending(values: Tensor) -> Tensor:
    """Every row of [R, V] from its largest value to its smallest."""
    if values.device.type != "cpu":
        return values.sort(dim=-1, descending=True).values
    import numpy as np
    import torch

    return torch.from_numpy(np.sort(values.numpy(), axis=-1)).flip(-1)


def order(values: Tensor) -> Tensor:
    """For every row of [R, V] the indices of its values in ascending order, the first of equals
    first.
    """
    return values.sort(dim=-1, stable=True).indices
