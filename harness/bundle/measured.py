"""Whether the files of cases that read given texts come to what is recorded of these cases.

A reading itself only its model could give again. The values of samples follow from it, and so do
files: maps and orderings, the grid of a calibration, labels of what judges answered.
"""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from harness.bundle.differences import Mismatch, compared, shown
from harness.errors import FieldError, ModelError, SandboxError, TitrateError
from harness.measure.recounted import CaseFiles, Recounted
from harness.resolve.tasks import task_of
from harness.runs.planned_case import PlannedCase
from harness.spec import Experiment
from harness.store.results import CaseResult

READINGS = "readings"


def against_readings(
    results: Sequence[CaseResult],
    report: Path,
    tokenizer: Callable[[Experiment], Any],
    left: Callable[[str], None],
    *,
    unsafe_code: bool,
) -> Iterator[Mismatch]:
    """Yield every recorded value, and every file, that the files of a case do not come to.

    `left` is told in a line of what cannot be counted again.
    """
    for result in results:
        if result.measure.run is None or result.status != "complete":
            continue
        case = result.case
        if result.measure.recounted is None:
            left(f"not counted again: {case.id}: measure {result.measure.name} does not say how")
            continue
        folder = report / result.measure.name / case.id
        experiment = case.experiment
        try:
            task = task_of(experiment.task, experiment.prompt, unsafe_code=unsafe_code)
        except TitrateError as error:
            left(f"not counted again: {case.id}: {error}")
            continue
        try:
            found = result.measure.recounted_of(
                PlannedCase(case, task, unsafe_code=unsafe_code),
                result,
                CaseFiles(folder, Path(READINGS) / case.id),
                partial(tokenizer, experiment),
            )
        except (FieldError, ModelError, SandboxError) as error:
            left(f"not counted again: {case.id}: {error}")
        except TitrateError as error:
            yield Mismatch(case.id, "files", "those of its numbers", str(error))
        else:
            for line in found.left:
                left(f"not counted again: {case.id}: {line}")
            if found.kept:
                left(f"not counted again: {case.id}: {', '.join(sorted(found.kept))}")
            yield from _against(result, folder, found)


def _against(result: CaseResult, folder: Path, found: Recounted) -> Iterator[Mismatch]:
    if found.values:
        yield from compared(
            {
                metric: dict(values)
                for metric, values in result.sample_metrics.items()
                if metric not in found.kept
            },
            found.values,
            f"{result.case.id} sample_metrics",
            rounding=found.rounding,
        )
    for each in found.apart:
        yield Mismatch(result.case.id, each.what, shown(each.stored), shown(each.found))
    for name, content in found.files.items():
        yield from same_file(folder / name, content, found.rounding)


def same_file(stored: Path, again: str | bytes, rounding: float = 0.0) -> Iterator[Mismatch]:
    """Yield every place in which a file differs from what it should say.

    Arrays, tables and documents are compared number by number, others byte by byte.
    """
    if not stored.is_file():
        yield Mismatch(str(stored), "file", "it is missing", "there")
        return
    new = again.encode() if isinstance(again, str) else again
    if stored.read_bytes() == new:
        return
    readers: Mapping[str, Callable[[bytes], Any]] = {
        ".npz": _arrays,
        ".csv": table,
        ".json": json.loads,
    }
    read = readers.get(stored.suffix)
    try:
        one, other = (None, None) if read is None else (read(stored.read_bytes()), read(new))
    except (ValueError, OSError, KeyError, zipfile.BadZipFile) as error:
        yield Mismatch(str(stored), "content", f"unreadable: {error}", "there")
        return
    if read is None:
        yield Mismatch(str(stored), "content", "other bytes", "than these")
    else:
        yield from compared(one, other, str(stored), rounding=rounding)


def _arrays(content: bytes) -> dict[str, Any]:
    """The arrays of an `.npz` file, which must not be packed: what unpacks may be a bomb."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if sum(info.file_size for info in archive.infolist()) > len(content):
            raise ValueError("its arrays are packed")
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return {name: arrays[name].tolist() for name in arrays}


def table(content: bytes) -> list[list[float | str]]:
    """The cells of a CSV table, as numbers where they are."""
    rows = csv.reader(io.StringIO(content.decode()))
    return [[_cell(text) for text in row] for row in rows]


def _cell(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
