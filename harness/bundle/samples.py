"""Hashes of the samples that were asked, for those whose data a bundle may not have.

Who has the data, by their id on the hub or from a library, sees whether they are the same.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from harness.bundle.differences import Mismatch, compared, shown
from harness.errors import TitrateError
from harness.resolve.tasks import task_of
from harness.spec import Experiment
from harness.store.results import CaseResult

_DIGITS = 16


def sample_hashes(results: Iterable[CaseResult]) -> dict[str, dict[str, str] | None]:
    """Case -> sample -> hash of its record; a case stands for all that ask the same task.

    None where the task is not at hand.
    """
    seen: set[str] = set()
    found = {}
    for result in results:
        experiment = result.case.experiment
        task = experiment.task.model_dump_json()
        if task not in seen:
            seen.add(task)
            found[result.case.id] = _hashes(experiment)
    return found


def against_samples(results: Iterable[CaseResult], stored: Any) -> Iterator[Mismatch | str]:
    """Yield every sample that is another one here, and a line of tasks that had no hashes; tasks
    that are not at hand are passed by.
    """
    if not isinstance(stored, Mapping):
        yield Mismatch("samples.json", "content", shown(stored), "hashes by case")
        return
    for case, here in sample_hashes(results).items():
        if case not in stored:
            yield Mismatch(f"{case} samples", "hashes", "they are missing", "needed")
        elif stored[case] is None:
            yield f"not compared: samples of {case}, which had no hashes when they were bundled"
        elif here is not None:
            yield from compared(stored[case], here, f"{case} samples")


def _hashes(experiment: Experiment) -> dict[str, str] | None:
    try:
        samples = task_of(experiment.task, experiment.prompt).samples
        return {each.id: _hash(each.record) for each in samples}
    except TitrateError:
        return None


def _hash(record: Mapping[str, Any]) -> str:
    text = json.dumps(dict(record), sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS]
