"""The tables, maps and values of forward passes, from what was read of each sample."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import TaskError
from harness.measure.forward import forward_of
from harness.measure.paired_tables import sample_metrics
from harness.measure.recounted import Apart, CaseFiles, Recounted, unequal
from harness.measure.sample_files import SampleFiles, SampleForward
from harness.models.routers import RouterShape
from harness.runs.forward import (
    LAYERS,
    LENS_TOLERANCE_OF_HALF,
    LENS_TOLERANCES,
    MAPS,
    SUMMARY,
    lens_check,
    tables_of,
)
from harness.runs.planned_case import PlannedCase
from harness.store.results import CaseResult


def recounted(
    case: PlannedCase, result: CaseResult, files: CaseFiles, tokenizer: Callable[[], Any]
) -> Recounted:
    """Everything that a report says of forward passes, from the readings of its samples.

    Raises:
        TaskError: files are missing, or are none of such a measurement.
    """
    del tokenizer
    if not files.readings.is_dir():
        return Recounted(left=["its readings are not in the bundle"])
    samples = _samples(case, files.readings)
    layers = tuple(int(each) for each in _array(files.folder / LAYERS, "layers"))
    routers = _routers(files.folder)
    made = tables_of(samples, layers, routers, forward_of(case.experiment).orderings)
    return Recounted(
        sample_metrics(samples, output=bool(result.checks)),
        made,
        [*_summed(files.folder, samples), *_checked(result, samples)],
    )


def _samples(case: PlannedCase, folder: Path) -> list[SampleForward]:
    """What was read, in the order of the task's samples."""
    kept = SampleFiles(folder, "none")
    found: dict[str, SampleForward] = {}
    for file in sorted(folder.glob("*/*")):
        sample = kept.read(file.stem)
        if sample is None or sample.sample not in case.task.by_id:
            raise TaskError(f"{file}: is no reading of a sample of {case.task.name}")
        found[sample.sample] = sample
    return [found[each.id] for each in case.task.samples if each.id in found]


def _routers(folder: Path) -> RouterShape | None:
    """The routers whose use was compared, as the maps say; none where there are no maps."""
    if not (folder / MAPS).is_file():
        return None
    layers, top_k = (_array(folder / MAPS, name) for name in ("layers", "top_k"))
    experts = _array(folder / MAPS, "avg_all_agentic").shape[1]
    return RouterShape(tuple(int(each) for each in layers), int(experts), int(top_k))


def _array(path: Path, name: str) -> NDArray[np.generic]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            found: NDArray[np.generic] = arrays[name]
    except (OSError, ValueError, KeyError) as error:
        raise TaskError(f"{path}: has no {name}: {error}") from error
    return found


def _summed(folder: Path, samples: Sequence[SampleForward]) -> Iterator[Apart]:
    try:
        said = json.loads((folder / SUMMARY).read_text("utf-8"))["measured_samples"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TaskError(f"{folder / SUMMARY}: has no measured_samples: {error}") from error
    yield from unequal(f"{SUMMARY}: measured_samples", said, len(samples))


def _checked(result: CaseResult, samples: Sequence[SampleForward]) -> Iterator[Apart]:
    """The identity of the last layer, which allows what its dtype does."""
    for check in result.checks:
        again = [
            lens_check(check.case, samples, allowed)
            for allowed in (*LENS_TOLERANCES.values(), LENS_TOLERANCE_OF_HALF)
        ]
        same = (each for each in again if _allowed(each.detail) == _allowed(check.detail))
        found = next(same, again[0])
        yield from unequal(f"{check.name}: holds", check.holds, found.holds)
        yield from unequal(check.name, check.detail, found.detail)


def _allowed(detail: str) -> str:
    return detail.rpartition(", ")[2]
