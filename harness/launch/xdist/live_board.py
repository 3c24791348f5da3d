"""The live line of a run with workers: a thread that looks at their board and adds them up."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path

from harness.launch.board import Pinned, read, total
from harness.launch.live import LiveLine
from harness.resolve.progress import Counts

_INTERVAL = 0.2  # seconds between two looks; the line decides how much of it is shown


class LiveBoard:
    """Watches a board from `start` to `close`. The process that does so is free to do other things.

    Workers leave the board with `leave`: what they had still to do is not waited for.
    """

    def __init__(self, directory: Path, line: LiveLine) -> None:
        self._directory = directory
        self._line = line
        self._gone: set[str] = set()
        self._told = Counter[str]()
        self._shown = Counts()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="titrate progress", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def leave(self, process: str) -> None:
        """A process has ended, or died."""
        self._gone.add(process)

    def close(self) -> None:
        """Stop watching and remove the line; closing twice is closing once."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
        self._line.close()

    def board(self) -> dict[str, Pinned]:
        """What every process said last."""
        return read(self._directory)

    def counts(self) -> Counts:
        """The counters of all processes together."""
        return total(self.board(), self._gone)

    def _watch(self) -> None:
        while not self._ended.wait(_INTERVAL):
            self._look()
        self._look()  # what was said since, which is how it ended

    def _look(self) -> None:
        board = self.board()
        for process, pinned in board.items():
            for note in pinned.notes[self._told[process] :]:
                self._line.note(f"{process}: {note}")
            self._told[process] = len(pinned.notes)
        counts = total(board, self._gone)
        complete = counts.cases_done == counts.cases_total
        if counts.requests_total and not (complete and counts == self._shown):
            self._line.update(counts)
            self._shown = counts
