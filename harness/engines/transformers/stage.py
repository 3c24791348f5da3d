"""What an engine keeps between calls: the cache, the sequences in it and their interventions.

A stage has room for `slots` running sequences, and `spare` slots more for ended ones. It is
rebuilt, and forgets, when requests need more columns or slots than it has.
"""

from __future__ import annotations

from typing import Any

from harness.engines.transformers.attention_masks import AttentionMasks
from harness.engines.transformers.cache_sizes import CacheSize
from harness.engines.transformers.residents import Resident, Residents
from harness.engines.transformers.rotary import RowRotary
from harness.engines.transformers.row_interventions import InterventionSet
from harness.engines.transformers.slots import SlotCache


class Stage:
    """The slots of one model."""

    def __init__(self, model: Any, size: CacheSize) -> None:
        self._model = model
        self._columns = size.columns
        self.masks = AttentionMasks(model.config)
        self.rotary = RowRotary(model)
        self._build(size.slots, size.spare)

    @property
    def running(self) -> list[Resident]:
        """The running sequences; number i is in slot i."""
        return self.residents.running

    @property
    def size(self) -> CacheSize:
        """How large the cache is."""
        return CacheSize(self.slots, self.cache.slots - self.slots, self.cache.capacity)

    def fits(self, size: CacheSize) -> bool:
        """Whether this stage serves so many sequences of so many tokens."""
        return (
            size.slots <= self.slots
            and size.slots + size.spare <= self.cache.slots
            and size.columns <= self.cache.capacity
        )

    def shrink(self, slots: int) -> None:
        """Start again with fewer slots and nothing resident; the old cache's memory is free."""
        del self.cache, self.interventions, self.residents
        self._build(slots, spare=0)

    def _build(self, slots: int, spare: int) -> None:
        self.slots = slots
        layers = self._model.config.get_text_config().num_hidden_layers
        self.cache = SlotCache(layers, slots + spare, self._columns)
        self.interventions = InterventionSet(self._model, self.cache.slots, self.cache.capacity)
        self.residents = Residents(self.cache, self.interventions)
