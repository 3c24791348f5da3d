"""One live line on a terminal while a run goes on; plain lines where nothing can be redrawn."""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, TextIO

from harness.resolve.progress import Counts

# A terminal is redrawn this often, a log file gets a line this often (seconds); the first one comes
# soon, so that users see that something happens.
_REDRAW = 0.2
_LOG = 10.0
_FIRST_LOG = 1.5


class LiveLine:
    """Shows cases, requests, tokens, the engines' tokens per second and the time left.

    The line is as wide as the terminal at most, and is taken away before anything else is written
    (`clear`). May be used by several threads.

    `exposed` is entered around every write, so that a test runner can let go of the stream;
    `before_line` is called where a line begins, to end whatever stands there.
    """

    def __init__(
        self,
        stream: TextIO,
        exposed: Callable[[], AbstractContextManager[None]] = nullcontext,
        before_line: Callable[[], None] = lambda: None,
    ) -> None:
        self._stream = stream
        self._exposed = exposed
        self._before_line = before_line
        self._terminal: bool | None = None
        self._shown = False
        self._next: float | None = None
        self._lock = threading.RLock()

    def note(self, text: str) -> None:
        """Say what begins. On a terminal the next redraw replaces it."""
        with self._lock, self._exposed():
            line = f"titrate: {text}"
            if self._on_terminal() and len(line) < self._width():
                self._draw(line)
            else:
                self._write(line)

    def update(self, counts: Counts) -> None:
        """Redraw when enough time has passed, or when the run is complete."""
        if not counts.cases_total:  # identities alone
            return
        with self._lock:
            now = time.monotonic()
            if self._next is None:
                with self._exposed():
                    self._next = now + (_REDRAW if self._on_terminal() else _FIRST_LOG)
            complete = counts.cases_done == counts.cases_total
            if now < self._next and not complete:
                return
            with self._exposed():
                if not self._on_terminal():
                    self._next = now + _LOG
                    self._write(_line(counts))
                elif complete:
                    self.clear()
                else:
                    self._next = now + _REDRAW
                    self._draw(_line(counts, self._width()))

    def clear(self) -> None:
        """Take the line away before other output is written; the next redraw is new."""
        with self._lock:
            if self._shown:
                with self._exposed():
                    self._stream.write("\r\x1b[K")
                    self._stream.flush()
                self._shown = False

    def close(self) -> None:
        """Remove the line."""
        self.clear()

    @contextmanager
    def beside(self) -> Iterator[None]:
        """While this lasts, the line gives way to whatever the process prints."""
        streams = sys.stdout, sys.stderr
        sys.stdout, sys.stderr = (Polite(each, self) for each in streams)
        try:
            yield
        finally:
            sys.stdout, sys.stderr = streams

    def _on_terminal(self) -> bool:
        """Whether lines can be redrawn. Asked while exposed: captured streams are not terminals."""
        if self._terminal is None:
            self._terminal = self._stream.isatty()
        return self._terminal

    def _width(self) -> int:
        """Columns of the terminal now; the last one stays free, since some wrap behind it."""
        try:
            columns = os.get_terminal_size(self._stream.fileno()).columns
        except (OSError, ValueError):
            columns = 0
        return (columns or shutil.get_terminal_size().columns) - 1

    def _draw(self, line: str) -> None:
        if not self._shown:
            self._before_line()
        self._stream.write(f"\r{line}\x1b[K")
        self._stream.flush()
        self._shown = True

    def _write(self, line: str) -> None:
        self.clear()
        self._before_line()
        self._stream.write(f"{line}\n")
        self._stream.flush()


class Polite:
    """A stream before whose every write the live line is taken away."""

    def __init__(self, stream: TextIO, line: LiveLine) -> None:
        self._stream = stream
        self._line = line

    def write(self, text: str) -> int:
        """Write, on a line of its own."""
        self._line.clear()
        return self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _line(counts: Counts, width: int | None = None) -> str:
    """Where the run stands, without the less important parts where these have no room."""
    waits = counts.requests_done < counts.requests_total
    made = counts.tokens + counts.in_flight
    parts = [
        f"{counts.cases_done}/{counts.cases_total} cases",
        f"{counts.requests_done}/{counts.requests_total} requests",
        f"{made:,} tokens" if made else "",
        counts.speed,
        f"{_duration(counts.left)} left" if waits and counts.left is not None else "",
    ]
    for least in (2, 3, 1, 4):
        line = f"titrate: {', '.join(filter(None, parts))}"
        if width is None or len(line) <= width:
            return line
        parts[least] = ""
    return f"titrate: {parts[0]}"


def _duration(seconds: float) -> str:
    """Seconds in the unit that one would say them in."""
    if seconds < 600:
        minutes, rest = divmod(round(seconds), 60)
        return f"{minutes}:{rest:02d}"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
