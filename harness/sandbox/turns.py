"""Who runs beside whom: many checks at a time, or one alone while the others wait."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Condition


@dataclass(eq=False)
class Turn:
    """One check's time. `company` becomes true when another check runs during any of it."""

    company: bool = False


class Turns:
    """Shared turns and lonely ones; a lonely one that waits lets no further shared one begin."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._running: set[Turn] = set()
        self._lonely = 0

    @contextmanager
    def shared(self) -> Iterator[Turn]:
        """A turn beside others."""
        turn = Turn()
        with self._changed:
            self._changed.wait_for(lambda: not self._lonely)
            self._running.add(turn)
            if len(self._running) > 1:
                for each in self._running:
                    each.company = True
        try:
            yield turn
        finally:
            self._end(turn)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """A turn during which no other check of this process runs."""
        turn = Turn()
        with self._changed:
            self._lonely += 1
            self._changed.wait_for(lambda: not self._running)
            self._running.add(turn)
        try:
            yield
        finally:
            with self._changed:
                self._lonely -= 1
            self._end(turn)

    def _end(self, turn: Turn) -> None:
        with self._changed:
            self._running.discard(turn)
            self._changed.notify_all()
