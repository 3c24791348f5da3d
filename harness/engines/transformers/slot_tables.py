"""Named tensors of the sequences in the slots: tables [slots, ...], rows of 0 where there is none.

Which rows are not 0 is known without asking the device.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch


class SlotRows(NamedTuple):
    """The tensors of one sequence by name, on the device, and those that are not all 0."""

    tensors: Mapping[str, torch.Tensor]
    filled: frozenset[str]


def slot_rows(tensors: Mapping[str, torch.Tensor], device: torch.device) -> SlotRows | None:
    """The rows of a sequence; None where all of them are 0, which is to do nothing."""
    filled = frozenset(name for name, row in tensors.items() if row.any())
    if not filled:
        return None
    return SlotRows({name: row.to(device) for name, row in tensors.items()}, filled)


class SlotTables:
    """A table for each name, as large as what is assigned first; all rows have the same shapes."""

    def __init__(self, slots: int, device: torch.device) -> None:
        self._slots = slots
        self._device = device
        self.tables: dict[str, torch.Tensor] = {}
        self._filled: dict[str, list[bool]] = {}
        self.used = [False] * slots

    def assign(self, slot: int, rows: SlotRows | None) -> None:
        """Write a slot's rows, None for none."""
        if self.used[slot]:
            for name, table in self.tables.items():
                table[slot] = 0
                self._filled[name][slot] = False
        self.used[slot] = rows is not None
        if rows is None:
            return
        for name, row in rows.tensors.items():
            if name not in self.tables:
                shape = self._slots, *row.shape
                self.tables[name] = torch.zeros(shape, dtype=row.dtype, device=self._device)
                self._filled[name] = [False] * self._slots
            self.tables[name][slot] = row
            self._filled[name][slot] = name in rows.filled

    def move(self, source: int, target: int) -> None:
        """Copy a slot's rows."""
        for table in self.tables.values():
            table[target] = table[source]
        for flags in self._flags:
            flags[target] = flags[source]

    def swap(self, one: int, other: int) -> None:
        """Exchange two slots' rows."""
        for table in self.tables.values():
            table[[one, other]] = table[[other, one]]
        for flags in self._flags:
            flags[one], flags[other] = flags[other], flags[one]

    def rows(self, slots: slice) -> dict[str, torch.Tensor | None]:
        """The rows of neighbouring slots by name; None for a name under which all of them are 0."""
        return {
            name: table[slots] if any(self._filled[name][slots]) else None
            for name, table in self.tables.items()
        }

    @property
    def _flags(self) -> tuple[list[bool], ...]:
        return self.used, *self._filled.values()
