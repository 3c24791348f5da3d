"""Saved runs: a report with every sample's values, kept below `.titrate/saved` to compare with.

    .titrate/saved/0007_before-refactoring.json
    {"schema": 1, "name": "before-refactoring", "report": {...},
     "samples": [["HumanEval/0", ...]],
     "values": {case id: {"samples": 0, "metrics": {"pass@1": [1.0, ...]}}}}

Numbers rise and are given once, under a lock; a file appears whole or not at all. A report's own
directory can be compared with just as well: its `samples.jsonl` has the same values, and its
`records.jsonl` those of given texts that were read, which leave no line there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock
from pydantic import JsonValue

from harness.errors import ReportError, StoreError
from harness.files.atomic import write_file
from harness.files.given import is_file, is_folder
from harness.registry import measures
from harness.report.foreign import is_foreign
from harness.report.foreign import report_of as report_of_others
from harness.report.load import RECORDS, load_report, sample_records
from harness.report.report import CaseReport, RunReport
from harness.report.schema import report_of
from harness.spec.measure import measure_named
from harness.spec.suggestion import suggestion
from harness.store.records import read_records
from harness.store.results import CaseResult, SampleMetrics

#: Where saved runs lie, below pytest's root or the working directory.
SAVED = Path(".titrate", "saved")
#: The `schema` of the saved runs that are written and read here.
SCHEMA_VERSION = 1
NAME = r"[A-Za-z0-9_.+-]*[A-Za-z_][A-Za-z0-9_.+-]*"
_FILE = re.compile(rf"(\d+)_({NAME})\.json")

#: Case id -> metric -> sample id -> value.
Values = Mapping[str, SampleMetrics]


@dataclass(frozen=True)
class SavedRun:
    """A run to compare with: its report, and the values that are paired."""

    name: str
    report: RunReport
    values: Values

    @classmethod
    def of(
        cls, report: RunReport, results: Sequence[CaseResult], name: str = "this run"
    ) -> SavedRun:
        """A run that has just ended."""
        values = {
            result.case.id: result.sample_metrics
            for result in results
            if result.status == "complete"
        }
        return cls(name, report, values)

    def case(self, id_: str) -> CaseReport | None:
        """The case of this id."""
        return next((case for case in self.report.cases if case.id == id_), None)


@dataclass(frozen=True)
class SavedRuns:
    """The saved runs of one folder, which need not exist before the first is saved."""

    folder: Path

    def save(self, run: SavedRun, name: str) -> Path:
        """Keep a run under the next number and this name; returns its file.

        Raises:
            ReportError: the name is not allowed, or the folder cannot be written.
        """
        check_name(name)
        document = _document(run, name)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with FileLock(self.folder / ".lock"):
                number = max((number for number, _, _ in self._files()), default=0) + 1
                path = self.folder / f"{number:04}_{name}.json"
                write_file(path, json.dumps(document, ensure_ascii=False, allow_nan=False) + "\n")
        except OSError as error:
            raise ReportError(
                f"{self.folder}: cannot be written: {error.strerror or error}; saved runs go there"
            ) from error
        return path

    def find(self, text: str) -> SavedRun:
        """The latest run of a name, the one of a number, a file or report directory, or what
        another harness has written.

        Raises:
            ReportError: nothing of the kind exists, or it cannot be read.
        """
        files = self._files()
        for number, name, path in reversed(files):
            if text in {name, path.stem, path.name} or (text.isdigit() and int(text) == number):
                return _read(path, path.stem)
        given = Path(text)
        if is_foreign(given):
            return SavedRun.of(*report_of_others(given), name=text)
        if is_folder(given):
            return _of_directory(given)
        if is_file(given):
            return _read(given, given.stem)
        names = list(dict.fromkeys(name for _, name, _ in files))
        there = f"saved: {', '.join(names)}" if names else f"nothing is saved in {self.folder} yet"
        raise ReportError(
            f"{text}: no saved run of this name or number, and no file or report directory;"
            f"{suggestion(text, names)} {there}"
        )

    def _files(self) -> list[tuple[int, str, Path]]:
        """Number, name and path of all saved runs, oldest first."""
        if not self.folder.is_dir():
            return []
        found = [(_FILE.fullmatch(path.name), path) for path in self.folder.iterdir()]
        return sorted((int(match[1]), match[2], path) for match, path in found if match)


def check_name(name: str) -> None:
    """Raise ReportError for what cannot name a saved run."""
    if not re.fullmatch(NAME, name):
        raise ReportError(
            f"{name!r}: no name of a saved run; use letters, digits and . _ + -, and not digits "
            "alone, which are its number"
        )


def _document(run: SavedRun, name: str) -> dict[str, Any]:
    orders: dict[tuple[str, ...], int] = {}
    values = {}
    for case, metrics in run.values.items():
        order = tuple(next(iter(metrics.values()), {}))
        values[case] = {
            "samples": orders.setdefault(order, len(orders)),
            "metrics": {
                metric: [of_sample[sample] for sample in order]
                for metric, of_sample in metrics.items()
            },
        }
    return {
        "schema": SCHEMA_VERSION,
        "name": name,
        "report": run.report.model_dump(mode="json"),
        "samples": [list(order) for order in orders],
        "values": values,
    }


def _read(path: Path, name: str) -> SavedRun:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ReportError(f"{path}: cannot be read as a saved run: {error}") from error
    if isinstance(document, Mapping) and "cases" in document and "run" in document:
        return _of_directory(path.parent)
    version = document.get("schema") if isinstance(document, Mapping) else None
    if version != SCHEMA_VERSION:
        raise ReportError(
            f"{path}: schema {version!r} of saved runs cannot be read; this version reads "
            f"{SCHEMA_VERSION}: save the run again"
        )
    report = report_of(document.get("report"), str(path))
    try:
        values = {
            case: {
                metric: dict(zip(document["samples"][entry["samples"]], numbers, strict=True))
                for metric, numbers in entry["metrics"].items()
            }
            for case, entry in document["values"].items()
        }
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        raise ReportError(f"{path}: damaged: {type(error).__name__}: save the run again") from error
    return SavedRun(name, report, values)


def _of_directory(directory: Path) -> SavedRun:
    """A report's directory as a run to compare with."""
    report = load_report(directory)
    values: dict[str, dict[str, dict[str, JsonValue]]] = {}
    for line in sample_records(directory):
        if "metrics" not in line:
            raise ReportError(
                f"{directory / 'samples.jsonl'}: has no metrics per sample, as reports of this "
                "version do; run it again"
            )
        for metric, value in line["metrics"].items():
            values.setdefault(line["case"], {}).setdefault(metric, {})[line["sample"]] = value
    return SavedRun(str(directory), report, {**values, **_read_values(directory, report)})


def _read_values(directory: Path, report: RunReport) -> Values:
    """What cases that read given texts have of each sample: samples.jsonl has no line of them."""
    read = {
        name: measure_named(name).noun for name in measures.names() if measure_named(name).reads
    }
    nouns = {
        case.id: read[case.measure]
        for case in report.cases
        if case.status == "complete" and case.measure in read
    }
    if not nouns:
        return {}
    try:
        results = list(read_records(directory / RECORDS))
    except StoreError as error:
        raise ReportError(
            f"{error}; the values per sample of {next(iter(nouns.values()))} are in {RECORDS}: "
            "copy it from the report's first place, or run it again"
        ) from error
    return {each.case.id: each.sample_metrics for each in results if each.case.id in nouns}
