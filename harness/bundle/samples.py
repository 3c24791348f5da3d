"""Hashes of the samples that were asked, for those whose data a bundle may not have.

Who has the data, by their id on the hub or from a library, sees whether they are the same.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from harness.bundle.differences import Mismatch, compared
from harness.errors import TitrateError
from harness.resolve.tasks import task_of
from harness.spec import Experiment
from harness.store.results import CaseResult

_DIGITS = 16


def sample_hashes(results: Iterable[CaseResult]) -> dict[str, dict[str, str]]:
    """Case -> sample -> hash of its record; a case stands for all that ask the same task."""
    seen: set[str] = set()
    found = {}
    for result in results:
        experiment = result.case.experiment
        task = experiment.task.model_dump_json()
        if task not in seen:
            seen.add(task)
            hashes = _hashes(experiment)
            if hashes is not None:
                found[result.case.id] = hashes
    return found


def against_samples(results: Iterable[CaseResult], stored: Any) -> Iterator[Mismatch]:
    """Yield every sample that is another one here; tasks that are not at hand are passed by."""
    if not isinstance(stored, Mapping):
        yield Mismatch("samples.json", "content", "no JSON", "hashes by case")
        return
    for result in results:
        if result.case.id in stored:
            here = _hashes(result.case.experiment)
            if here is not None:
                yield from compared(stored[result.case.id], here, f"{result.case.id} samples")


def _hashes(experiment: Experiment) -> dict[str, str] | None:
    try:
        samples = task_of(experiment.task, experiment.prompt).samples
        return {each.id: _hash(each.record) for each in samples}
    except TitrateError:
        return None


def _hash(record: Mapping[str, Any]) -> str:
    text = json.dumps(dict(record), sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS]
