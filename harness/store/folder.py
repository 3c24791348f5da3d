"""The folder of one run, `.titrate/runs/ID`: what it was to do and what is done, written meanwhile.

    run.json              the manifest: when, with which command and versions, and where the report
                          goes
    planned-PROCESS.jsonl every selected case and its baseline, as it is reported if nothing comes
    cases-PROCESS.jsonl   every case as soon as it has a result
    findings-PROCESS.jsonl identities that were checked on models, without cases
    engine-PROCESS.json   the settings of the engines that were opened, and the process's hardware

PROCESS is one writer's name: `main`, or a worker's. The run itself, a controller of workers and
a reader after a crash find the same results in the folder.
"""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from harness.errors import ReadOnlyError, StoreError
from harness.files.atomic import READ_ONLY, check_writable, open_regular, write_file
from harness.processes.beside import beside
from harness.spec import Case
from harness.store.journal import Journal, Line
from harness.store.places import OWN
from harness.store.record_shapes import MACHINE, MANIFEST
from harness.store.recorded import RecordedDraws, RecordReader
from harness.store.records import FORMAT, finding_from, from_json, to_json, usable_records
from harness.store.results import CaseResult, InvariantResult

MANIFEST_VERSION = 1

_RATES = {0.0: 0.0, 1.0: 1.0}


def run_id(started: datetime) -> str:
    """A new run's name, which no other run has; names sort by time."""
    return f"{started:%Y%m%d-%H%M%S}-{uuid.uuid4().hex[:6]}"


@dataclass(frozen=True)
class Manifest:
    """What is known of a run when it begins."""

    id: str
    started: datetime
    command: str
    report: str
    git: tuple[str, bool] | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    shard: Mapping[str, Any] | None = None
    gates: Sequence[str] = ()
    """Of the command line."""
    compare: str | None = None
    """The saved run that it was to be compared with."""
    rules: Sequence[str] = ()
    """What that comparison must not find."""


class RunFolder:
    """One run's folder, seen by one of its processes. Files appear when they are first needed.

    `warn` is told once, in one line, of records that had to be skipped.
    """

    def __init__(
        self,
        directory: Path | str,
        process: str = "main",
        warn: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.directory = Path(directory)
        self.process = process
        self._warn = warn
        self._skipped: dict[str, None] = {}
        self._journals: dict[str, Journal] = {}

    def begin(self, manifest: Manifest) -> None:
        """Write the manifest. What lies beside it is not for version control, and says so."""
        document = asdict(manifest) | {
            "version": MANIFEST_VERSION,
            "started": manifest.started.isoformat(),
        }
        self._write(self.directory / "run.json", json.dumps(document, indent=1) + "\n")
        own = self.directory.parent.parent
        if own.name == OWN and not (own / ".gitignore").exists():
            self._write(own / ".gitignore", "*\n")

    def check_writable(self) -> None:
        """Find out before a run whether it can be recorded; makes nothing.

        Raises:
            StoreError: the folder cannot be made.
        """
        try:
            check_writable(self.directory)
        except OSError as error:
            raise unwritable(self.directory, error) from error

    def plan(self, cases: Iterable[CaseResult]) -> None:
        """Note the cases that are to be run, as they are reported if nothing comes of them.

        All of them or none: a part would pass for the whole.
        """
        try:
            for case in cases:
                self._append("planned", to_json(case))
        except StoreError:
            self._forget("planned")
            raise

    def discard(self) -> None:
        """Leave nothing of a run that could not be begun, but what other processes have written."""
        for kind in list(self._journals):
            self._forget(kind)
        with suppress(OSError):
            if [path.name for path in self.directory.iterdir()] == ["run.json"]:
                (self.directory / "run.json").unlink()
            self.directory.rmdir()
            runs = self.directory.parent
            runs.rmdir()
            if [path.name for path in runs.parent.iterdir()] == [".gitignore"]:
                (runs.parent / ".gitignore").unlink()
                runs.parent.rmdir()

    def add(self, result: CaseResult) -> RecordedDraws:
        """Keep a result; when this returns, it survives the death of the process.

        Returns:
            Its draws, to be read from here when they are looked at.
        """
        offset = self._append("cases", to_json(result))
        return RecordedDraws.of(self._journals["cases"].path, offset, result)

    def add_finding(self, finding: InvariantResult) -> None:
        """Keep what came of an identity."""
        self._append("findings", asdict(finding))

    def add_engine(self, determinism: Mapping[str, str], hardware: Mapping[str, Any]) -> None:
        """Keep the settings of all engines so far, and what they ran on, for the report."""
        document = {"determinism": dict(determinism), "hardware": dict(hardware)}
        path = self.directory / f"engine-{self.process}.json"
        self._write(path, json.dumps(document, indent=1) + "\n")

    def manifest(self) -> Manifest:
        """The manifest.

        Raises:
            StoreError: there is none, or it is of another version.
        """
        path = self.directory / "run.json"
        try:
            with open_regular(path) as file:
                document = json.load(file)
        except (OSError, ValueError, RecursionError) as error:
            raise StoreError(f"{path}: cannot be read as a run: {error}") from error
        version = document.get("version") if isinstance(document, dict) else None
        if version != MANIFEST_VERSION:
            raise StoreError(
                f"{path}: version {version}, but this is version {MANIFEST_VERSION}; "
                "use the version of titrate that made the run"
            )
        try:
            shape = MANIFEST.validate_python(document)
            started = datetime.fromisoformat(shape["started"])
        except ValueError as error:
            raise StoreError(
                f"{path}: {_first(error)}; it is not a run's, run the same command again"
            ) from error
        return Manifest(
            id=shape["id"],
            started=started,
            command=shape["command"],
            report=shape["report"],
            git=shape["git"],
            versions=shape["versions"],
            shard=None if shape["shard"] is None else {**shape["shard"]},
            gates=shape["gates"],
            compare=shape["compare"],
            rules=shape.get("rules", ()),  # runs of earlier versions have none
        )

    def planned(self, names: Collection[str]) -> dict[str, Case]:
        """The cases with these ids, as the run was begun with them, in planned order."""
        found = (
            _only(names, path, self._skip)
            for path in sorted(self.directory.glob("planned-*.jsonl"))
        )
        cases = {result.case.id: result.case for results in found for result in results}
        self._tell_skipped()
        return cases

    def recorded(self, pattern: str) -> frozenset[str]:
        """Ids of the cases that have a complete result in files of a pattern."""
        return frozenset(
            str(record["case"]["id"])
            for path in self.directory.glob(pattern)
            for record in usable_records(path, _as_it_is, self._skip)
            if record["status"] == "complete"
        )

    def results(self, *, forked: bool = False) -> list[CaseResult]:
        """Every planned case of every process in planned order, incomplete where nothing came.

        Their draws stay in these files, and are read when they are looked at.

        Args:
            forked: Whether a copy of this process may read half of them (`processes/beside.py`).
        """
        results: dict[str, CaseResult] = {}
        asked: set[str] = set()  # known when the first results are read
        reader = RecordReader(asked)
        for path in sorted(self.directory.glob("planned-*.jsonl")):
            for result in usable_records(path, reader.result, self._skip):
                known = results.get(result.case.id)
                # Workers plan the same cases; only one of them knows a baseline as a test.
                if known is None or (known.nodeid is None and result.nodeid is not None):
                    results[result.case.id] = result
        asked |= {each.baseline for each in results.values() if each.baseline}
        paths = sorted(self.directory.glob("cases-*.jsonl"))
        half = len(paths) // 2 if forked else len(paths)
        with beside(partial(self._came, reader, paths[half:]), forked=half < len(paths)) as second:
            for came, skipped in (self._came(reader, paths[:half]), second()):
                self._skipped |= skipped
                for result in came:
                    _share_numbers(result)
                    known = results.get(result.case.id)
                    if known is None or known.status != "complete":
                        results[result.case.id] = result
        self._tell_skipped()
        return list(results.values())

    def findings(self) -> list[InvariantResult]:
        """What came of the identities that any process checked."""
        found = [
            finding
            for path in sorted(self.directory.glob("findings-*.jsonl"))
            for finding in usable_records(path, _finding_in, self._skip)
        ]
        self._tell_skipped()
        return found

    def engines(self) -> tuple[dict[str, str], dict[str, Any]]:
        """The settings of all engines of all processes, and what they ran on.

        Workers see a device each. A device that several had is counted once.
        """
        determinism: dict[str, str] = {}
        hardware: dict[str, Any] = {}
        accelerators: dict[str | None, list[str]] = {}
        for path in sorted(self.directory.glob("engine-*.json")):
            try:
                with open_regular(path) as file:
                    document = MACHINE.validate_python(json.load(file))
                json.dumps(document["hardware"], allow_nan=False)  # as a report must say it
            except (OSError, ValueError, RecursionError):
                self._skip(f"{path}: does not say what a process ran on")
                continue
            determinism |= document["determinism"]
            hardware |= document["hardware"]
            accelerators[hardware.get("devices")] = hardware.get("accelerators", [])
        self._tell_skipped()
        if len(accelerators) > 1:
            hardware["devices"] = ",".join(str(device) for device in accelerators)
            hardware["accelerators"] = [name for names in accelerators.values() for name in names]
        return determinism, hardware

    def close(self) -> None:
        """Close what is being written."""
        for journal in self._journals.values():
            journal.close()

    def _came(
        self, reader: RecordReader, paths: Iterable[Path]
    ) -> tuple[list[CaseResult], dict[str, None]]:
        """The results in some of the files, and every place that was skipped until then."""
        came = [
            result for path in paths for result in usable_records(path, reader.result, self._skip)
        ]
        return came, self._skipped

    def _skip(self, place: str) -> None:
        self._skipped[place] = None

    def _tell_skipped(self) -> None:
        """Warn of what was skipped since the last warning, if anything was."""
        if self._skipped:
            first, more = next(iter(self._skipped)), len(self._skipped) - 1
            others = f" (and {more} more)" if more else ""
            self._warn(f"{first}{others}; skipped, and reported as if it had not been run")
            self._skipped = {}

    def _append(self, kind: str, record: Mapping[str, Any]) -> int:
        """Write a line, and return where it is."""
        try:
            if kind not in self._journals:
                self.directory.mkdir(parents=True, exist_ok=True)
                path = self.directory / f"{kind}-{self.process}.jsonl"
                self._journals[kind] = Journal(path, FORMAT)
            return self._journals[kind].append(record)
        except OSError as error:
            raise unwritable(self.directory, error) from error

    def _forget(self, kind: str) -> None:
        """Remove a file that this process is writing, if there is one."""
        journal = self._journals.pop(kind, None)
        if journal is not None:
            journal.close()
            journal.path.unlink(missing_ok=True)

    def _write(self, path: Path, text: str) -> None:
        """Put a small file in place whole."""
        try:
            write_file(path, text)
        except OSError as error:
            raise unwritable(self.directory, error) from error


def _share_numbers(result: CaseResult) -> None:
    """Let rates of 0 and 1, of which a large run has millions, be one object each."""
    for values in result.sample_metrics.values():
        if isinstance(values, dict):
            for sample, value in values.items():
                if type(value) is float and value in _RATES and not math.copysign(1, value) < 0:
                    values[sample] = _RATES[value]


def _as_it_is(_: Path, line: Line) -> Any:
    return line.record


def _finding_in(_: Path, line: Line) -> InvariantResult:
    return finding_from(line.record)


def _only(names: Collection[str], path: Path, skip: Callable[[str], None]) -> Iterator[CaseResult]:
    """The results of these cases; the others are not read beyond their ids."""

    def decode(_: Path, line: Line) -> CaseResult | None:
        record = line.record
        known = isinstance(record, dict) and record.get("case", {}).get("id") not in names
        return None if known else from_json(record)

    return (each for each in usable_records(path, decode, skip) if each is not None)


def _first(error: ValueError) -> str:
    """The first thing that is wrong, with its field."""
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"


def unwritable(directory: Path, error: OSError) -> StoreError:
    """What to say of a run's folder that cannot be written."""
    kind = ReadOnlyError if error.errno in READ_ONLY else StoreError
    return kind(
        f"{directory}: the run's records cannot be written: {error.strerror or error}; "
        "free some space or make the folder writable, and run the same command again: "
        "what is stored is not made again"
    )
