"""What a controller and its workers tell each other: orders, and small files in the run's folder.

Results travel as records (`store/folder.py`), progress as counters (`launch/board.py`). Nothing
comes back through pytest-xdist's `workeroutput`, which dies with its worker.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeVar

from pydantic import TypeAdapter

from harness.errors import StoreError
from harness.files.atomic import write_file
from harness.processes.parent import end_with
from harness.store.folder import unwritable

# Key of xdist's `workerinput` under which a worker finds its orders.
_KEY = "titrate"
_PLACES = "places.json"
_CRASHED = "crashed.json"


@dataclass(frozen=True)
class Orders:
    """What a worker is told of its run. JSON types: xdist carries nothing else."""

    run: str
    directory: str
    started: str
    report: str
    command: str
    machine: str = ""
    controller: int = 0
    """The controller's process id, which means something on its own machine alone."""

    @classmethod
    def found_in(cls, workerinput: Mapping[str, Any]) -> Self | None:
        """The orders of a worker; None where the controller knew of no benches."""
        given = workerinput.get(_KEY)
        return None if given is None else cls(**given)

    def end_with_controller(self) -> None:
        """Where the controller is of this machine, end when it does: execnet takes 15 s to notice.

        A worker goes on with a pass of the model, and with whatever else needs no controller.
        """
        if self.controller and self.machine == platform.node():
            end_with(self.controller)

    def put_into(self, workerinput: dict[str, Any]) -> None:
        """Send them along with a worker."""
        workerinput[_KEY] = asdict(self)


class Assignment(NamedTuple):
    """Where a test belongs: the part of the cases that its case is in, and the case's id."""

    part: int
    case: str


Said = TypeVar("Said")
_PLACES_OF = TypeAdapter(dict[str, Assignment])
_REASONS = TypeAdapter(dict[str, str])


def say_places(directory: Path, places: Mapping[str, Assignment]) -> None:
    """Tell the controller where each node id belongs; every worker says the same.

    Raises:
        StoreError: the run's folder cannot be written.
    """
    _put(directory / _PLACES, places)


def told_places(directory: Path) -> dict[str, Assignment]:
    """Where every node id belongs; empty when no worker has a case."""
    return _get(directory / _PLACES, _PLACES_OF) or {}


def say_crashed(directory: Path, crashed: Mapping[str, str]) -> None:
    """Tell the other workers over which cases a worker died, and how.

    Where nothing can be written any more they are not told, and may try these cases once more.
    """
    with suppress(StoreError):
        _put(directory / _CRASHED, crashed)


def told_crashed(directory: Path) -> dict[str, str]:
    """What is known of the death of workers, by the case that each was running."""
    return _get(directory / _CRASHED, _REASONS) or {}


def _put(file: Path, document: Mapping[str, Any]) -> None:
    """Replace a file whole: a reader finds the old one or the new one."""
    try:
        write_file(file, json.dumps(document))
    except OSError as error:
        raise unwritable(file.parent, error) from error


def _get(file: Path, kind: TypeAdapter[Said]) -> Said | None:
    """What a file says; None where it is not there, or says something else."""
    try:
        return kind.validate_json(file.read_bytes())
    except (OSError, ValueError):
        return None
