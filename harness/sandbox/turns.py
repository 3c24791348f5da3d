"""Which checks run together: many at a time, or one alone while the others wait."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition


class Turns:
    """Shared turns and lonely ones; a lonely one that waits lets no further shared one begin."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._running = 0
        self._lonely = 0

    @contextmanager
    def shared(self) -> Iterator[None]:
        """A turn beside others."""
        with self._changed:
            self._changed.wait_for(lambda: not self._lonely)
            self._running += 1
        try:
            yield
        finally:
            self._end()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """A turn during which no other check of this process runs."""
        with self._changed:
            self._lonely += 1
            self._changed.wait_for(lambda: not self._running)
            self._running += 1
        try:
            yield
        finally:
            with self._changed:
                self._lonely -= 1
            self._end()

    def _end(self) -> None:
        with self._changed:
            self._running -= 1
            self._changed.notify_all()
