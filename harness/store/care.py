"""Looking after a completion store: what is in it, whether it is whole, taking things out of it.

Files are never edited: one from which records go is written anew beside its place and renamed into
it. A file that a living process is writing is left alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.errors import StoreError
from harness.files.atomic import replace_file
from harness.files.given import is_folder
from harness.store.completions import FORMAT, shards
from harness.store.journal import Line, encoded, in_use, lines, unusable
from harness.store.record_shapes import ENGINE, RECORD
from harness.store.replies import completion_from, scored_from
from harness.store.usages import usage_from
from harness.store.verdicts import score_from

Chosen = Callable[[dict[str, Any]], bool]


#: What can be told of a record by its kind alone; vectors are of several makes.
_DECODERS: dict[str, Callable[[Any], object]] = {
    "completion": completion_from,
    "scores": scored_from,
    "ordering": usage_from,
    "engine": ENGINE.validate_python,
    "verdict": score_from,
}


@dataclass
class Kept:
    """What a store holds of one engine: a model with the settings that may change its numbers."""

    model: str
    fingerprint: str
    settings: dict[str, str] = field(default_factory=dict)
    completions: int = 0
    scorings: int = 0
    tokens: int = 0
    """Of completions."""
    size: int = 0
    newest: int = 0


@dataclass
class KeptVerdicts:
    """What a store holds of one version of a task: how many verdicts, in how many bytes."""

    task: str
    verdicts: int = 0
    size: int = 0


@dataclass(frozen=True)
class Damage:
    """A place that cannot be used, in words."""

    path: Path
    problem: str


@dataclass
class Pruned:
    """What was, or would be, taken out of one file: records, and bytes in all."""

    path: Path
    records: int
    size: int
    whole: bool
    in_use: bool


def existing_shards(directory: Path) -> list[Path]:
    """The files of a store that must be there.

    Raises:
        StoreError: there is no store.
    """
    if not is_folder(directory):
        raise StoreError(f"{directory}: there is no completion store; give one with --store")
    return shards(directory)


def contents(directory: Path) -> list[Kept]:
    """What is stored, by engine, the latest first; damaged records and other formats left out."""
    kept: dict[str, Kept] = {}
    for path in existing_shards(directory):
        for line, record in _records(path):
            if record["kind"] == "verdict":
                continue
            engine = kept.setdefault(record["engine"], Kept("unknown", record["engine"]))
            engine.size += line.end - line.offset
            engine.newest = max(engine.newest, record["at"])
            if record["kind"] == "engine":
                engine.model = record["value"]["model"]
                engine.settings = record["value"]["determinism"]
            elif record["kind"] == "completion":
                engine.completions += 1
                engine.tokens += len(record["value"]["tokens"])
            elif record["kind"] == "scores":
                engine.scorings += 1
    return sorted(kept.values(), key=lambda each: -each.newest)


def kept_verdicts(directory: Path) -> list[KeptVerdicts]:
    """The verdicts that are stored, by task; damaged records and other formats left out."""
    kept: dict[str, KeptVerdicts] = {}
    for path in existing_shards(directory):
        for line, record in _records(path):
            if record["kind"] == "verdict":
                task = kept.setdefault(record["engine"], KeptVerdicts(record["engine"]))
                task.verdicts += 1
                task.size += line.end - line.offset
    return list(kept.values())


def verify(directory: Path) -> tuple[int, list[Damage]]:
    """Read every record; returns how many are whole, and what is not."""
    whole = 0
    damages: list[Damage] = []
    for path in existing_shards(directory):
        problem = unusable(path, FORMAT)
        if problem is not None:
            damages.append(Damage(path, problem.removeprefix(f"{path}: ")))
            continue
        try:
            for line in lines(path):
                problem = None if line.offset == 0 else _problem(line)
                if problem is not None:
                    if line.whole or not in_use(path):
                        damages.append(Damage(path, f"the record at byte {line.offset} {problem}"))
                elif line.offset:
                    whole += 1
        except OSError as error:  # a disk that fails, or a file that is pruned this moment
            damages.append(Damage(path, f"cannot be read: {error.strerror or error}"))
    return whole, damages


def size_of(path: Path) -> int:
    """Bytes of a store's file; 0 of what cannot be looked at, such as a link to nothing."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def prune(
    directory: Path, chosen: Chosen, *, other_formats: bool, damaged: bool, really: bool
) -> list[Pruned]:
    """Take out the records that are `chosen`, files of other formats, and damaged records.

    Nothing is changed unless `really`. Files without anything to take out are not in the answer.

    Raises:
        StoreError: a file cannot be written anew; it is left as it was.
    """
    pruned = []
    for path in existing_shards(directory):
        if unusable(path, FORMAT) is not None:
            # What is not a file was put there by a user, and is left for them to remove.
            if other_formats and path.is_file() and os.access(path, os.R_OK):
                pruned.append(Pruned(path, 0, size_of(path), whole=True, in_use=False))
                if really:
                    path.unlink()
            continue
        keep: list[tuple[int, int]] = []
        gone = size = 0
        for line in lines(path):
            record = None if line.body is None or _problem(line) else line.record
            if line.offset and (damaged if record is None else chosen(record)):
                gone += 1
                size += line.end - line.offset
            elif line.offset:
                keep.append((line.offset, line.end))
        if gone:
            busy = in_use(path)
            pruned.append(Pruned(path, gone, size, whole=not keep, in_use=busy))
            if really and not busy:
                _rewrite(path, keep)
    return pruned


def by_age_and_model(before: float | None, model: str | None, kept: list[Kept]) -> Chosen:
    """Chooses records written before a time (Unix, seconds), of one model or fingerprint.

    What an engine is, is written once, when its first completion is made: that record is as old as
    the last thing that is stored of the engine. Without it a model would be loaded for nothing.

    Raises:
        StoreError: nothing is stored of this model.
    """
    engines = None if model is None else engines_of(model, kept)
    newest = {each.fingerprint: each.newest for each in kept}

    def chosen(record: dict[str, Any]) -> bool:
        if before is None and engines is None:
            return False
        at = newest[record["engine"]] if record["kind"] == "engine" else record["at"]
        old = before is None or at < before
        return old and (engines is None or record["engine"] in engines)

    return chosen


def engines_of(model: str, kept: list[Kept]) -> set[str]:
    """Fingerprints of the engines of a model, or of those that begin so.

    Raises:
        StoreError: nothing is stored of this model.
    """
    engines = {
        each.fingerprint
        for each in kept
        if each.model == model or (len(model) >= 8 and each.fingerprint.startswith(model))
    }
    if not engines:
        known = ", ".join(sorted({each.model for each in kept})) or "nothing"
        raise StoreError(f"{model}: nothing is stored of this model; stored are {known}")
    return engines


def prune_states(
    folder: Path, before: float | None, engines: set[str] | None, *, damaged: bool, really: bool
) -> list[Pruned]:
    """Take out hidden states of pairs by age, by engine, or because they are damaged."""
    from harness.store.hidden_states import kept_states  # with numpy

    pruned = []
    for states in kept_states(folder):
        if states.problem is not None:
            chosen = damaged
        elif before is None and engines is None:
            chosen = False
        else:
            old = before is None or int(states.facts["at"]) < before
            chosen = old and (engines is None or states.facts["engine"] in engines)
        if chosen:
            pruned.append(Pruned(states.path, 1, states.size, whole=True, in_use=False))
            if really:
                states.path.unlink()
    return pruned


def _records(path: Path) -> Iterator[tuple[Line, dict[str, Any]]]:
    if unusable(path, FORMAT) is not None:
        return
    for line in lines(path):
        if line.offset and _problem(line) is None:
            yield line, line.record


def _problem(line: Line) -> str | None:
    """What is wrong with a record, beyond what its sum tells."""
    if line.body is None:
        return "is torn or altered"
    try:
        record = RECORD.validate_python(line.record)
        decode = _DECODERS.get(record["kind"])
        if decode is not None:
            decode(record["value"])
    except ValueError:
        return "is not a store's"
    return None


def _rewrite(path: Path, keep: list[tuple[int, int]]) -> None:
    """A file with only these ranges of bytes behind its first line; none leaves no file."""
    if not keep:
        path.unlink()
        return
    try:
        with replace_file(path) as part, path.open("rb") as source, part.open("wb") as target:
            target.write(encoded({"format": FORMAT.name, "version": FORMAT.version}))
            for start, end in keep:
                source.seek(start)
                target.write(source.read(end - start))
    except OSError as error:
        raise StoreError(
            f"{path}: cannot be written anew: {error.strerror or error}; it is as it was"
        ) from error
