"""Passes over whole vocabularies that rules share: sorted, compared, and what is cut put out.

On a CPU torch compares one number at a time and branches at every mask; numpy and
arithmetic on bits give the same in a tenth of the time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

_INDEX_BITS = 32
_PARTS = 64


def descending(values: Tensor) -> Tensor:
    """Every row of [R, V] from its largest value to its smallest."""
    if values.device.type != "cpu":
        return values.sort(dim=-1, descending=True).values
    import numpy as np
    import torch

    return torch.from_numpy(np.sort(values.detach().numpy(), axis=-1)).flip(-1)


def largest(values: Tensor, number: int) -> Tensor:
    """The so many largest of every row of [R, V], from the largest on, and -inf behind them.

    They are as long as V modulo 64 is, so that a sum that goes by parts adds the same numbers in
    the same order as in a row of V whose others are -inf.
    """
    vocabulary = values.shape[-1]
    length = vocabulary - (vocabulary - number) // _PARTS * _PARTS
    ordered = values.new_full((len(values), length), -float("inf"))
    ordered[:, :number] = values.topk(number, dim=-1).values
    return ordered


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


def best(values: Tensor) -> Tensor:
    """The index [R] of the first of the largest values [R, V]."""
    if values.device.type != "cpu":
        return values.argmax(dim=-1)
    import torch

    return torch.from_numpy(values.detach().numpy().argmax(axis=-1))


def at_least(values: Tensor, least: Tensor) -> Tensor:
    """Which of the values [R, V] reach the row's least [R]; bool [R, V]."""
    if values.device.type != "cpu":
        return values >= least[:, None]
    import torch

    return torch.from_numpy(values.detach().numpy() >= least[:, None].detach().numpy())


def there(values: Tensor) -> Tensor:
    """Which of the values [R, V] are above -inf: what no rule has cut; bool [R, V]."""
    if values.device.type != "cpu":
        return values > -float("inf")
    import numpy as np
    import torch

    return torch.from_numpy(values.detach().numpy() > np.float32(-np.inf))


def only(kept: Tensor, values: Tensor, otherwise: float = -float("inf")) -> Tensor:
    """The values [R, V] that are kept [R, V], and another number in the place of all others."""
    import torch

    if values.device.type != "cpu" or values.dtype != torch.float32:
        return torch.where(kept, values, otherwise)
    # The bits of a kept value twice exclusive-or, those of another one once: no branch is taken.
    number = torch.tensor(otherwise).view(torch.int32)
    bits = values.view(torch.int32) ^ number
    return bits.mul_(kept).bitwise_xor_(number).view(torch.float32)


def below(ascending: Tensor, limits: Tensor, *, included: bool = False) -> Tensor:
    """How many numbers [R] of rows in ascending order [R, V] are below a limit [R], or at it."""
    import torch

    return torch.searchsorted(ascending, limits[:, None].contiguous(), right=included)[:, 0]
