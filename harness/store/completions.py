"""The completion store: what an engine once made for a request, kept for every later run.

- A folder of journals (`journal.py`), one per process that wrote, so that any number of runs may
  write at once. Later files win over earlier ones; names sort by time.
- A key is the SHA-256 of the engine's fingerprint (content of the weights, settings that may change
  numbers, library versions) and the request's content. What was changed in place is another key.
- Scores of given continuations are kept as completions are. Nor are these the only records: the
  orderings that were measured on a model are kept under the same rule, and so is which fingerprint
  an engine turned out to have (`deferred.py`). Verdicts have keys of their own kind, without an
  engine (`verdicts.py`).
- Memory holds one offset per key; what is stored is read when it is asked for.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TypeVar

from harness.engines.contract import Asked, Completion, Reply, Scored, Scoring
from harness.errors import ReadOnlyError, StoreError
from harness.files.atomic import READ_ONLY, check_writable
from harness.files.given import exists
from harness.options import spelled
from harness.store.journal import Format, Journal, in_use, line_at, lines, unusable
from harness.store.record_shapes import RECORD
from harness.store.replies import completion_from, completion_json, scored_from, scored_json
from harness.store.scratch import PUBLISH_EVERY, abandoned, published, scratch_of

FORMAT = Format("titrate completions", 1)
PATTERN = "completions-*.jsonl"

RecordKind = Literal["completion", "scores", "ordering", "vectors", "engine", "verdict"]

Value = TypeVar("Value")

# Every record begins with its key, so that the index is made without reading the rest of it.
_KEY = re.compile(rb'\{"key":"([0-9a-f]{64})"')
_OFFSET_BITS = 48


def _plain(document: Any) -> Any:
    """What was stored as it is."""
    return document


def key_of(fingerprint: str, content: str) -> str:
    """The key of what an engine makes for a request (`Request.key()`) or another question."""
    return hashlib.sha256(f"{fingerprint}\0{content}".encode()).hexdigest()


class CompletionStore:
    """A folder of completions; made when the first one is put.

    Args:
        directory: The folder, which holds nothing else.
        fresh: Find nothing of what other runs stored. What is put is stored all the same.
        since: When this run began: a fresh store finds what its other processes have stored since.
        scratch: A folder of this machine that is written to instead. Journals are copied into the
            store whole (`scratch.py`): now and then, and when the store is closed.
        warn: Told once, in one line, of what had to be skipped.

    Raises:
        StoreError: `directory` is a file, or a folder that holds other things.
    """

    def __init__(
        self,
        directory: Path | str,
        *,
        fresh: bool = False,
        since: datetime | None = None,
        scratch: Path | None = None,
        warn: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.directory = Path(directory)
        self._scratch = None if scratch is None else scratch_of(self.directory, scratch)
        self.fresh = fresh
        self._ignored_until = _stamp(since) if fresh and since else "~" if fresh else ""
        self._warn: Callable[[str], None] | None = warn
        self._places: dict[bytes, int] = {}
        self._shards: list[Path] = []
        self._numbers: dict[Path, int] = {}
        self._read: dict[Path, int] = {}
        self._unusable: set[Path] = set()
        self._journal: Journal | None = None
        self._begun = 0.0
        self._put = 0
        self._deleted = 0
        shards(self.directory)
        if self._scratch is not None:
            for left in abandoned(self._scratch):
                self._published(left)
        self.refresh()

    def get(self, key: str) -> Completion | None:
        """The completion of a key, or None."""
        return self.value(key, completion_from)

    def put(self, key: str, completion: Completion, engine: str = "") -> None:
        """Store a completion; when this returns, it survives the death of the process.

        Raises:
            StoreError: it cannot be written; what was stored before is not harmed.
        """
        self.put_value(key, completion_json(completion), "completion", engine)

    def reply(self, key: str, asked: Asked) -> Reply | None:
        """What is stored for a request or a scoring with this key, or None."""
        return self.value(key, scored_from) if isinstance(asked, Scoring) else self.get(key)

    def put_reply(self, key: str, reply: Reply, engine: str) -> None:
        """Store a completion, or scores, as `put` does."""
        if isinstance(reply, Scored):
            self.put_value(key, scored_json(reply), "scores", engine)
        else:
            self.put(key, reply, engine)

    def value(self, key: str, decode: Callable[[Any], Value] = _plain) -> Value | None:
        """What is stored under a key, or None.

        `decode` makes it of any JSON whatever, and raises ValueError for what it cannot be made of:
        such a record is skipped with a warning, and is as if it had never been stored.
        """
        place = self._places.get(bytes.fromhex(key))
        if place is None:
            return None
        path = self._shards[place >> _OFFSET_BITS]
        try:
            line = line_at(path, place & (1 << _OFFSET_BITS) - 1)
        except OSError:
            return None  # pruned meanwhile
        if line.body is None or _key_in(line.body) != key:
            return None
        try:
            return decode(RECORD.validate_python(line.record)["value"])
        except ValueError:
            del self._places[bytes.fromhex(key)]
            self._skip([f"{path}: the record at byte {line.offset} is not a store's"])
            return None

    def put_value(self, key: str, value: Any, kind: RecordKind, engine: str) -> None:
        """Store anything that JSON can say; `engine` is the fingerprint of what made it, and for a
        verdict its task.
        """
        record = {"key": key, "kind": kind, "engine": engine, "at": int(time.time())}
        try:
            journal = self._own_journal()
            offset = journal.append(record | {"value": value})
            self._put += 1
        except OSError as error:
            raise _unwritable(self.directory, error) from error
        self._places[bytes.fromhex(key)] = self._place(journal.path, offset)

    def agree(
        self, key: str, value: Any, kind: RecordKind, engine: str, decode: Callable[[Any], Value]
    ) -> Value:
        """What all processes say that ask this: the first one's value, which may be this one.

        Answers that rounding may turn, such as an ordering of nearly equal measurements, must be
        the same in all workers of a run.
        """
        with _alone(self.directory):
            self.refresh()
            said = self.value(key, decode)
            if said is None:
                self.put_value(key, value, kind, engine)
                said = self.value(key, decode)
                self._publish()
        # Nothing comes back of a store that was deleted this very moment; it goes through JSON all
        # the same, so that all processes have what a later one will read.
        return decode(json.loads(json.dumps(value))) if said is None else said

    def refresh(self) -> None:
        """Find what other processes have stored since, unless the store is to be ignored."""
        own = None if self._journal is None else self._journal.path
        skipped: list[str] = []
        for path in shards(self.directory):
            if path in (own, *self._unusable):
                continue
            if _begun(path) > self._ignored_until:
                skipped += self._index(path)
        self._skip(skipped)

    def _skip(self, skipped: Sequence[str]) -> None:
        """Warn of places that cannot be used, the first time that there are any."""
        if skipped and self._warn is not None:
            more = f" (and {len(skipped) - 1} more)" if len(skipped) > 1 else ""
            self._warn(
                f"{skipped[0]}{more}; skipped, to be made again; "
                f"titrate store verify --store {self.directory} shows all"
            )
            self._warn = None

    def check_writable(self) -> None:
        """Find out before a run whether anything can be stored; makes nothing.

        Raises:
            StoreError: the folder cannot be made or written.
        """
        check_usable(self.directory)
        if self._scratch is not None:
            check_usable(self._scratch)

    @property
    def deleted(self) -> int:
        """How many records of this process are gone, because their file was deleted."""
        return self._deleted + (self._put if self._journal and self._journal.deleted else 0)

    def close(self) -> None:
        """Close the own file; what is stored can still be read.

        Raises:
            StoreError: it cannot be copied from its scratch folder, where it stays.
        """
        if self._journal is not None:
            self._journal.close()
            self._publish()

    def __contains__(self, key: str) -> bool:
        """Whether a key is in the index; what it stands for is read by `get`."""
        return bytes.fromhex(key) in self._places

    def __len__(self) -> int:
        return len(self._places)

    def _own_journal(self) -> Journal:
        """The file to append to; a new one when the last was deleted, so that the rest is kept."""
        if self._journal is not None and self._journal.deleted:
            self._deleted += self._put
            self._put = 0
            self._journal.close()
            self._journal = None
        if self._scratch is not None and time.monotonic() - self._begun > PUBLISH_EVERY:
            self._publish()
        if self._journal is None:
            folder = self._scratch or self.directory
            folder.mkdir(parents=True, exist_ok=True)
            begun = _stamp(datetime.now(UTC))
            name = f"completions-{begun}-{os.getpid()}-{secrets.token_hex(4)}.jsonl"
            self._journal = Journal(folder / name, FORMAT)
            self._begun = time.monotonic()
        return self._journal

    def _publish(self) -> None:
        """Copy the own file into the store, if it lies elsewhere; what follows begins a new one."""
        if self._scratch is None or self._journal is None or self._journal.deleted:
            return
        own, self._journal, self._put = self._journal, None, 0
        own.close()
        number = self._numbers.pop(own.path)
        self._shards[number] = self._published(own.path)
        self._numbers[self._shards[number]] = number
        self._read[self._shards[number]] = self._shards[number].stat().st_size

    def _published(self, journal: Path) -> Path:
        try:
            return published(journal, self.directory)
        except OSError as error:
            raise _unwritable(self.directory, error) from error

    def _index(self, path: Path) -> Iterator[str]:
        """Note where the new records of a file are; yields what cannot be used."""
        start = self._read.get(path)
        try:
            if start is None:
                problem = unusable(path, FORMAT)
                if problem is not None:
                    self._unusable.add(path)
                    yield problem
                    return
                start = line_at(path, 0).end
            elif path.stat().st_size == start:
                return
            for line in lines(path, start):
                key = None if line.body is None else _key_in(line.body)
                if key is not None:
                    self._places[bytes.fromhex(key)] = self._place(path, line.offset)
                    start = line.end
                elif line.whole or not in_use(path):  # another process may be writing the last one
                    yield f"{path}: the record at byte {line.offset} is torn or altered"
        except OSError as error:
            yield f"{path}: cannot be read: {error.strerror or error}"
        if start is not None:
            self._read[path] = start

    def _place(self, path: Path, offset: int) -> int:
        if path not in self._numbers:
            self._numbers[path] = len(self._shards)
            self._shards.append(path)
        return self._numbers[path] << _OFFSET_BITS | offset


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%S")


def _begun(path: Path) -> str:
    """When a file of a store was begun, from its name."""
    return path.name.split("-")[1]


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Keep other processes out that take this lock; without effect where files cannot be locked."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        try:
            lock = (directory / ".lock").open("w")
        except PermissionError:  # another user's, in a store that several share
            lock = (directory / ".lock").open()
    except OSError as error:
        raise _unwritable(directory, error) from error
    with lock:
        with suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def check_usable(directory: Path) -> None:
    """Find out before a run whether a folder is a store, or may become one; makes nothing.

    Raises:
        StoreError: it is something else, or cannot be made or written; a ReadOnlyError where only
            the right to write is missing.
    """
    shards(directory)
    try:
        check_writable(directory)
    except OSError as error:
        raise _unwritable(directory, error) from error


def shards(directory: Path) -> list[Path]:
    """The files of a store, oldest first; none where there is no folder yet.

    Raises:
        StoreError: `directory` is a file, or holds something that is not a store's.
    """
    try:
        entries = sorted(directory.iterdir()) if exists(directory) else []
    except OSError as error:
        raise StoreError(
            f"{directory}: no completion store can be read here: {error.strerror or error}; "
            f"give another folder with {spelled('store')}"
        ) from error
    for entry in entries:
        if not entry.match(PATTERN) and not entry.name.startswith("."):
            raise StoreError(
                f"{directory}: is not a completion store: it holds {entry.name}; "
                f"give a new folder or a store with {spelled('store')}"
            )
    return [entry for entry in entries if entry.match(PATTERN)]


def _key_in(body: bytes) -> str | None:
    """The key that a record begins with."""
    found = _KEY.match(body)
    return None if found is None else found[1].decode()


def _unwritable(directory: Path, error: OSError) -> StoreError:
    if error.errno in READ_ONLY:
        return ReadOnlyError(
            f"{directory}: completions cannot be stored: {error.strerror}; make it writable or "
            f"give another folder with {spelled('store')}"
        )
    return StoreError(
        f"{directory}: completions cannot be stored: {error.strerror or error}; free some space or "
        f"give another folder with {spelled('store')}, then run the same command again: what is "
        "stored is not made again"
    )
