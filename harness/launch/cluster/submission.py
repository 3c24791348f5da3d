"""What was submitted of a run, and which jobs do it: two files in the run's folder.

    submission.json   where and with which code the run is done, its tasks, and what they ask for;
                      written once, before anything is submitted
    jobs.jsonl        a line for every time that tasks were given to the cluster, with their jobs

Any process that sees the folder knows the run from these, so that nothing has to stay alive.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import TypeAdapter

from harness.errors import StoreError
from harness.files.atomic import open_regular, write_file
from harness.files.given import is_file
from harness.spec.resources import Resources
from harness.store.folder import unwritable
from harness.store.places import runs_below

MERGE = "merge"
"""The name of the task that makes the report of all others."""

_FILE = "submission.json"
_JOBS = "jobs.jsonl"


@dataclass(frozen=True)
class ArrayTask:
    """One task of an array: the cases that it runs, or whose baselines it makes for the others."""

    name: str
    cases: tuple[str, ...]
    first: bool = False
    """Whether it makes what several tasks need, before they begin."""
    cost: float = 1.0
    """What it is expected to take, beside other tasks; in submissions of earlier versions alike."""


@dataclass(frozen=True)
class TaskGroup:
    """The tasks whose cases share a model, its engine and what they ask the cluster for."""

    model: str
    resources: Resources
    tasks: tuple[ArrayTask, ...]
    """Those that begin first, then all others, the most expensive ones first."""


@dataclass(frozen=True)
class Submission:
    """A run as it was submitted. Paths are absolute."""

    run: str
    cluster: str
    root: str
    store: str
    scratch: str | None
    code: str
    """The folder of the package as it was when the run was submitted, named by its content."""
    files: Mapping[str, str]
    """SHA-256 of the other files that the run reads, which its tasks hold them to."""
    specs: Mapping[str, str]
    """SHA-256 of the spec files, whose cases are on record."""
    groups: tuple[TaskGroup, ...]
    fresh: bool = False
    unsafe_code: bool = False
    save: str | None = None
    version: Literal[1] = 1
    parallelism: int | None = None
    """How many tasks may run at once; as many as the cluster likes where it is None."""
    further: bool = False
    """Whether what stops itself goes on with doses that it would give up."""

    @property
    def directory(self) -> Path:
        """The run's folder."""
        return runs_below(Path(self.root)) / self.run

    @property
    def tasks(self) -> dict[str, ArrayTask]:
        """All tasks by name, but for the merge."""
        return {task.name: task for group in self.groups for task in group.tasks}

    @property
    def resources(self) -> dict[str, Resources]:
        """What each of them asks for."""
        return {task.name: group.resources for group in self.groups for task in group.tasks}

    def write(self) -> None:
        """Put it into the run's folder.

        Raises:
            StoreError: the folder cannot be written.
        """
        document = asdict(self)
        for group, own in zip(document["groups"], self.groups, strict=True):
            group["resources"] = own.resources.model_dump(mode="json", exclude_defaults=True)
        try:
            write_file(self.directory / _FILE, json.dumps(document) + "\n")
        except OSError as error:
            raise unwritable(self.directory, error) from error

    @classmethod
    def read(cls, directory: Path) -> Self:
        """What was submitted of the run of a folder.

        Raises:
            StoreError: nothing was, or it cannot be read.
        """
        path = directory / _FILE
        try:
            with open_regular(path) as file:
                document = json.load(file)
            return TypeAdapter(cls).validate_python(document)
        except FileNotFoundError:
            raise StoreError(
                f"{directory.name}: was not submitted, but run in a process of its own; "
                "titrate rescore reads its records"
            ) from None
        except (OSError, ValueError, RecursionError) as error:
            raise StoreError(f"{path}: cannot be read as a submission: {error}") from error


@dataclass(frozen=True)
class Given:
    """Tasks that were given to the cluster together."""

    jobs: Mapping[str, str]
    """The job of each task by its name, as the cluster writes it: 12_3 is a task of array 12."""
    host: str
    """Where that was done: the machine of local jobs."""
    memory: Mapping[str, str] = field(default_factory=dict)
    """How much memory tasks were given, where that is not what the submission says."""
    cancelled: tuple[str, ...] = ()
    """Tasks whose jobs were ended, and not given."""


_GIVEN = TypeAdapter(Given)


def note(directory: Path, given: Given) -> None:
    """Add to what is known of a run's jobs.

    Raises:
        StoreError: the folder cannot be written.
    """
    line = json.dumps(asdict(given)) + "\n"
    try:
        with (directory / _JOBS).open("ab") as file:
            file.write(line.encode())
    except OSError as error:
        raise unwritable(directory, error) from error


def given(directory: Path) -> Iterator[Given]:
    """Everything that was given to the cluster for a run, in order; torn lines are left out."""
    try:
        lines = (directory / _JOBS).read_bytes().splitlines()
    except FileNotFoundError:
        return
    for line in lines:
        try:
            yield _GIVEN.validate_json(line)
        except ValueError:
            continue


def found(name: str, root: Path) -> Path:
    """The folder of a submitted run: below `root` or a folder above, or noted in the user's home.

    Raises:
        StoreError: there is none of this name.
    """
    below = [runs_below(each) for each in (root, *root.parents)]
    noted = {link.name: Path(text) for link, text in _noted()}
    places = [*(each / name for each in below), *filter(None, [noted.get(name)])]
    if name and "/" not in name and not name.startswith("."):
        for place in places:
            if is_file(place / "run.json"):
                return place
    known = {path.parent.name for each in below for path in each.glob(f"*/{_FILE}")}
    known |= {each for each, place in noted.items() if is_file(place / _FILE)}
    near = [each for each in sorted(known) if name and each.startswith(name)]
    near = near or get_close_matches(name, known, n=3, cutoff=0.5) or sorted(known)[-1:]
    none = "none was submitted from here; go to the folder where it was"
    meant = f"did you mean {' or '.join(near[-3:])}?" if near else none
    raise StoreError(f"{name}: no such run; {meant}")


def note_place(submission: Submission) -> None:
    """Remember in the user's home where a run's folder is; without a home, nobody does."""
    try:
        write_file(_places() / submission.run, str(submission.directory))
    except (OSError, RuntimeError):
        return


def _noted() -> Iterator[tuple[Path, str]]:
    try:
        for link in sorted(_places().iterdir()):
            if not link.name.startswith("."):
                yield link, link.read_text("utf-8")
    except (OSError, ValueError, RuntimeError):
        return


def _places() -> Path:
    """Where runs are noted that this user has submitted anywhere (the XDG's place for states)."""
    state = os.environ.get("XDG_STATE_HOME")
    return (Path(state) if state else Path.home() / ".local" / "state") / "titrate" / "runs"


def as_json(value: Any) -> str:
    """A value as one line of JSON, for other programs."""
    return json.dumps(value, sort_keys=True)
