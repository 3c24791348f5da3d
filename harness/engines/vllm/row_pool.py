"""Rows of a table that requests share by content: held while in use, kept while there is room."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass


@dataclass(slots=True)
class _Held:
    first: int
    length: int
    users: int = 0


class RowPool:
    """Gives neighbouring rows of a table of `rows` to keys. Row 0 has no owner."""

    def __init__(self, rows: int) -> None:
        self._owners: list[str | None] = [""] + [None] * (rows - 1)
        # The one that was used longest ago comes first.
        self._held: OrderedDict[str, _Held] = OrderedDict()

    @property
    def size(self) -> int:
        """Rows that can be given away."""
        return len(self._owners) - 1

    @property
    def users(self) -> int:
        """Takers that have not released yet."""
        return sum(held.users for held in self._held.values())

    def take(self, key: str, length: int = 1) -> tuple[int, bool] | None:
        """The first row of a key, and whether it must be written; None while there is no room.

        Unused rows make room, those used longest ago first.
        """
        held = self._held.get(key)
        fresh = held is None
        if held is None:
            first = self._room(length)
            if first is None:
                return None
            held = self._held[key] = _Held(first, length)
            self._owners[first : first + length] = [key] * length
        held.users += 1
        self._held.move_to_end(key)
        return held.first, fresh

    def release(self, key: str) -> None:
        """One user less; the rows keep their content until they are needed."""
        self._held[key].users -= 1

    def forget(self, key: str) -> None:
        """What the rows of this key hold is not what the key says: let the next one write it."""
        held = self._held[key]
        if not held.users:
            del self._held[key]
            self._owners[held.first : held.first + held.length] = [None] * held.length

    def clear(self) -> None:
        """Give up every unused row."""
        for key in list(self._held):
            self.forget(key)

    def _room(self, length: int) -> int | None:
        first = self._free(length)
        while first is None:
            key = next((key for key, held in self._held.items() if not held.users), None)
            if key is None:
                return None
            self.forget(key)
            first = self._free(length)
        return first

    def _free(self, length: int) -> int | None:
        if length == 1:
            return self._owners.index(None) if None in self._owners else None
        run = 0
        for row, owner in enumerate(self._owners):
            run = run + 1 if owner is None else 0
            if run == length:
                return row - length + 1
        return None
