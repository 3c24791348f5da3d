"""The slot cache: keys and values in [slots, heads, columns, dim], each row with its own length.

Invariant: the columns of a row below its length are its tokens, in order; everything above is
garbage that the attention mask hides. From that follow continuous batching (a new sequence simply
overwrites a slot from column 0), rejection of drafted tokens (a smaller length), and reuse of a
prefix (copied columns).

One more column than the capacity exists, and padding is written there, so that a batch of unequal
lengths needs no branch. A pass always works on neighbouring slots, so that it reads a view of the
cache and copies nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from transformers.cache_utils import Cache, CacheLayerMixin

# Capacities are multiples of this, so that a slightly longer request needs no new allocation.
_COLUMN_STEP = 64


@dataclass(frozen=True, slots=True)
class Window:
    """Where one forward pass writes and reads.

    slots: neighbouring slots, one per row. columns: [R, T] column of each token, or [1, T] where
    one row is read for all slots; padding goes to the spare column. visible: how many columns are
    read; None reads only the pass's own keys and values, which is all there is when a prompt
    starts.
    """

    slots: slice
    columns: torch.Tensor
    visible: int | None


@dataclass(slots=True)
class _Extent:
    """What all layers of a cache have in common.

    Layers know this and not the cache: in a circle, gigabytes would wait for the garbage collector.
    """

    slots: int
    capacity: int
    window: Window


class _SlotLayer(CacheLayerMixin):  # type: ignore[misc]
    """One layer's keys and values; the window is set on the cache that the layer belongs to."""

    def __init__(self, extent: _Extent) -> None:
        super().__init__()
        self.extent = extent

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Allocate on the layer's own device, in the model's own type."""
        slots, columns = self.extent.slots, self.extent.capacity + 1
        self.keys = key_states.new_zeros(slots, key_states.shape[1], columns, key_states.shape[3])
        self.values = value_states.new_zeros(
            slots, value_states.shape[1], columns, value_states.shape[3]
        )
        self.is_initialized = True

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_args: Any, **_kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write [R, heads, T, dim] into the window; return the keys and values it may attend to."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        window = self.extent.window
        columns = window.columns.to(key_states.device)
        keys, values = self.keys[window.slots], self.values[window.slots]
        # Fewer rows than slots are one row for all of them, see `shared_layers.py`.
        rows = torch.arange(len(keys), device=columns.device)[:, None]
        for store, new in ((keys, key_states), (values, value_states)):
            # `scatter_` would do; in bfloat16 on a CPU it takes a hundred times as long.
            store[rows, :, columns] = new.transpose(1, 2)
        if window.visible is None:
            return key_states, value_states
        seen = slice(0, len(key_states)), slice(None), slice(0, window.visible)
        return keys[seen], values[seen]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Attention masks are ours and complete; this only satisfies the interface."""
        return self.extent.window.visible or query_length, 0

    def get_seq_length(self) -> int:
        """Rows have their own lengths; models are always given explicit positions."""
        return 0

    def get_max_length(self) -> int:
        """The number of usable columns."""
        return self.extent.capacity


class SlotCache(Cache):  # type: ignore[misc]
    """Keys and values of `slots` sequences of up to `capacity` tokens, for all layers."""

    def __init__(self, layers: int, slots: int, columns: int) -> None:
        window = Window(slice(0, 0), torch.zeros(0, 0, dtype=torch.long), None)
        self._extent = _Extent(slots, rounded_columns(columns), window)
        super().__init__(layers=[_SlotLayer(self._extent) for _ in range(layers)])

    @property
    def slots(self) -> int:
        """The number of rows."""
        return self._extent.slots

    @property
    def capacity(self) -> int:
        """The number of usable columns."""
        return self._extent.capacity

    def look_at(self, window: Window) -> None:
        """Let the pass to come write and read there."""
        self._extent.window = window

    @property
    def spare_column(self) -> int:
        """Where padding is written; never read."""
        return self.capacity

    def copy(self, source: int, target: int, length: int) -> None:
        """Copy a row's first `length` columns to another slot."""
        for layer in self.layers:
            if layer.is_initialized:
                for store in (layer.keys, layer.values):
                    store[target, :, :length] = store[source, :, :length]

    def swap(self, one: int, other: int, length: int) -> None:
        """Exchange two rows' first `length` columns."""
        for layer in self.layers:
            if layer.is_initialized:
                for store in (layer.keys, layer.values):
                    store[[one, other], :, :length] = store[[other, one], :, :length]

    def clear(self, slot: int) -> None:
        """Zero a row. Needed only after non-finite values: 0 x NaN reaches through any mask."""
        for layer in self.layers:
            if layer.is_initialized:
                layer.keys[slot] = 0
                layer.values[slot] = 0


def rounded_columns(columns: int) -> int:
    """The capacity of a cache for sequences of so many tokens."""
    return -(-columns // _COLUMN_STEP) * _COLUMN_STEP
