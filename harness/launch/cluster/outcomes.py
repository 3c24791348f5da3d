"""What a task's last process said of itself: a small file in the run's folder, replaced whole.

    task-NAME.json    which job and process works on it, since when, and how that ended

A process that was killed says `running` for ever; whether its job lives is asked of the cluster.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal, Self

from pydantic import TypeAdapter

from harness.files.atomic import open_regular, write_file

State = Literal["running", "done", "failed", "preempted"]


@dataclass(frozen=True)
class TaskOutcome:
    """What a process says of the task that it works on."""

    process: str
    """Its name in the run's folder."""
    job: str
    host: str
    pid: int
    since: str
    state: State
    why: str = ""

    def ended(self, state: State, why: str = "") -> Self:
        """The same process, at its end."""
        lines = why.strip().splitlines()
        return replace(self, state=state, why=lines[-1] if lines else "")

    def write(self, directory: Path, task: str) -> None:
        """Say so; where nothing can be written, the cluster alone knows."""
        with suppress(OSError):
            write_file(_file(directory, task), json.dumps(asdict(self)))


_OUTCOME = TypeAdapter(TaskOutcome)


def last_outcome(directory: Path, task: str) -> TaskOutcome | None:
    """What was last said of a task; None where nothing was, or nothing that can be read."""
    try:
        with open_regular(_file(directory, task)) as file:
            return _OUTCOME.validate_python(json.load(file))
    except (OSError, ValueError, RecursionError):
        return None


def _file(directory: Path, task: str) -> Path:
    return directory / f"task-{task}.json"
