"""Progress of several processes: each pins its counters to a board, the watcher adds them up.

A board is the run's folder. A process keeps one small file there, `progress-PROCESS.json`, which it
replaces whole, a few times per second at most. What a killed process had pinned stays: its cases
are done. Another process takes over what was left to do, and counts it again.
"""

from __future__ import annotations

import json
import operator
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from harness.files.atomic import open_regular
from harness.resolve.progress import Counts

_INTERVAL = 0.2  # seconds between two writes, as often as a terminal is redrawn


@dataclass(frozen=True)
class Pinned:
    """What one process said last: its counters, and all that it has noted so far."""

    counts: Counts = field(default_factory=Counts)
    notes: tuple[str, ...] = ()


#: Counters that are not numbers, or fields of another version, are a ValueError.
_PINNED = TypeAdapter(Pinned)


class Pin:
    """One process's place on a board: the `Progress` of a run whose watcher is another process.

    A board that cannot be written stays as it was: a full disk is told where results are kept.
    """

    def __init__(self, directory: Path, process: str, interval: float = _INTERVAL) -> None:
        self._file = directory / f"progress-{process}.json"
        self._pinned = Pinned()
        self._interval = interval
        self._written = -interval

    def note(self, text: str) -> None:
        """Something that takes a while begins."""
        self._pinned = replace(self._pinned, notes=(*self._pinned.notes, text))
        self._write()

    def update(self, counts: Counts) -> None:
        """Something was finished; told when the last telling is a while ago, or all is done."""
        self._pinned = replace(self._pinned, counts=replace(counts))
        now = time.monotonic()
        if now - self._written >= self._interval or counts.cases_done == counts.cases_total:
            self._written = now
            self._write()

    def close(self) -> None:
        """Leave the last word."""
        self._write()

    def _write(self) -> None:
        part = self._file.with_suffix(".part")
        try:
            part.write_text(json.dumps(asdict(self._pinned)), "utf-8")
            part.replace(self._file)
        except OSError:
            part.unlink(missing_ok=True)


def read(directory: Path) -> dict[str, Pinned]:
    """What every process said last, by its name; processes that said nothing yet are not there.

    Nor are those whose file cannot be read: they will replace it, and results are kept elsewhere.
    """
    board = {}
    for path in sorted(directory.glob("progress-*.json")):
        with suppress(OSError, ValueError, RecursionError), open_regular(path) as file:
            pinned = _PINNED.validate_python(json.load(file))
            board[path.stem.removeprefix("progress-")] = pinned
    return board


def total(board: Mapping[str, Pinned], gone: Collection[str] = ()) -> Counts:
    """The counters of all processes together: each has its own requests, and all have every case.

    Of a process that is `gone` only the requests that it did are counted. Processes work at the
    same time, so that together they take as long as the one that takes longest.
    """
    summed = Counts()
    for process, pinned in board.items():
        own = pinned.counts
        if process in gone:
            own = replace(own, requests_total=own.requests_done, in_flight=0, left=None)
        together = {each.name: _add(each.name, summed, own) for each in fields(Counts)}
        summed = Counts(**together)
    return summed


def _add(name: str, first: Counts, second: Counts) -> Any:
    one, other = getattr(first, name), getattr(second, name)
    if name == "left":
        known = [each for each in (one, other) if each is not None]
        return max(known, default=None)
    join = max if name in {"cases_total", "seconds"} else operator.add
    return join(one, other)
