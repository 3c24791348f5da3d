"""One live line on a terminal while a run goes on; plain lines where nothing can be redrawn."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Never, TextIO

from tqdm import tqdm

from harness.runs.progress import Counts

# A terminal is redrawn this often, a log file gets a line this often (seconds).
_REDRAW = 0.2
_LOG = 10.0


class LiveLine:
    """Shows cases, requests, the engines' tokens per second and time left.

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
        self._bar: tqdm[Never] | None = None
        self._last_shown = 0.0
        self._started: float | None = None

    def note(self, text: str) -> None:
        """Say what begins. On a terminal the next redraw replaces it."""
        with self._exposed():
            if self._on_terminal():
                self._line().set_description_str(f"titrate: {text}")
            else:
                self._before_line()
                self._stream.write(f"titrate: {text}\n")
                self._stream.flush()

    def update(self, counts: Counts) -> None:
        """Redraw when enough time has passed, or when the run is complete."""
        if not counts.cases_total:  # identities alone
            return
        now = time.monotonic()
        if self._started is None:
            self._started = self._last_shown = now
        if self._terminal is None:
            with self._exposed():
                self._on_terminal()
        interval = _REDRAW if self._terminal else _LOG
        complete = counts.cases_done == counts.cases_total
        if now - self._last_shown < interval and not complete:
            return
        self._last_shown = now
        elapsed = now - self._started
        with self._exposed():
            if self._on_terminal():
                self._redraw(counts)
            else:
                self._write(counts, elapsed)

    def close(self) -> None:
        """Remove the line."""
        if self._bar is not None:
            with self._exposed():
                self._bar.close()
            self._bar = None

    def _on_terminal(self) -> bool:
        """Whether lines can be redrawn. Asked while exposed: a captured stream is no terminal."""
        if self._terminal is None:
            self._terminal = self._stream.isatty()
        return self._terminal

    def _line(self) -> tqdm[Never]:
        if self._bar is None:
            self._before_line()
            self._bar = tqdm(
                file=self._stream,
                total=0,
                leave=False,
                dynamic_ncols=True,
                mininterval=0,
                bar_format="{desc} {bar} {n_fmt}/{total_fmt} requests{postfix}, {remaining} left",
            )
        return self._bar

    def _redraw(self, counts: Counts) -> None:
        bar = self._line()
        bar.total = counts.requests_total
        bar.initial = counts.requests_stored  # they took no time, and tell nothing of what is left
        bar.n = counts.requests_done
        bar.set_description_str(
            f"titrate: {counts.cases_done}/{counts.cases_total} cases", refresh=False
        )
        bar.set_postfix_str(counts.speed, refresh=False)
        bar.refresh()
        if counts.cases_done == counts.cases_total:
            bar.close()
            self._bar = None

    def _write(self, counts: Counts, elapsed: float) -> None:
        waiting = counts.requests_total - counts.requests_done
        made = counts.requests_done - counts.requests_stored
        left = elapsed * waiting / made if made else 0.0
        parts = [
            f"{counts.cases_done}/{counts.cases_total} cases",
            f"{counts.requests_done}/{counts.requests_total} requests",
            counts.speed,
            f"{left:.0f} s left" if waiting else "",
        ]
        self._before_line()
        self._stream.write(f"titrate: {', '.join(filter(None, parts))}\n")
        self._stream.flush()
