"""The results behind a report, from which it can be made again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from harness.report.load import RECORDS
from harness.store.journal import Line
from harness.store.records import read_records
from harness.store.results import CaseResult


def recorded_results(
    directory: Path, decode: Callable[[Path, Line], CaseResult] | None = None
) -> Iterator[CaseResult]:
    """The results that a report was made from, in its order; `decode` reads a line of records.

    The files of a case that read given texts are those beside the report, where it has any: the
    folder in which its run kept them may be another machine's.

    Raises:
        StoreError: the records are missing, something else, or damaged.
    """
    for result in read_records(directory / RECORDS, decode):
        beside = directory / result.measure.name / result.case.id
        if result.artefacts is not None and beside.is_dir():
            yield replace(result, artefacts=str(beside.absolute()))
        else:
            yield result
