"""What earlier runs of a spec have measured, to plan a larger one by: a pilot.

Of the runs recorded below the working directory it is the latest in which these cases came to a
result, of the same model, task and settings; which samples were asked, and what was claimed or to
be decided, may be others. A run that stopped itself is none: whom it asked depends on what it saw.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.errors import StoreError
from harness.runs.planned_case import PlannedCase
from harness.statistics.dose_response import Floats
from harness.store.folder import RunFolder
from harness.store.places import runs_below
from harness.store.results import CaseResult

#: Of fewer samples in common it is not known how they vary.
FEWEST_SAMPLES = 10
#: Runs that are looked into, the latest first.
_LATEST = 20
#: What decides no sample's value.
_FREE = {"name", "description", "axes", "dose", "gates", "window", "stop", "resources", "requires"}


@dataclass(frozen=True)
class Pilot:
    """Results of an earlier run, by the ids of their cases; `run` is its id."""

    run: str
    results: Mapping[str, CaseResult]

    def rows(self, columns: Sequence[tuple[str, str]]) -> Floats | None:
        """[samples, columns], the values of (case, metric) that all of them have; None for fewer
        than ten.
        """
        if any(case not in self.results for case, _ in columns):
            return None
        found = [self.results[case].numbers(metric) for case, metric in columns]
        shared = [sample for sample in found[0] if all(sample in each for each in found)]
        if len(shared) < FEWEST_SAMPLES:
            return None
        rows = [[each[sample] for each in found] for sample in shared]
        return np.array(rows, dtype=np.float64)


def pilot_of(cases: Sequence[PlannedCase], root: Path) -> Pilot | None:
    """The latest run that has results of such cases; None where there is none."""
    asked = {one.id: one for case in cases for one in (case.baseline, case) if one is not None}
    folders = runs_below(root)
    latest = sorted(folders.iterdir(), reverse=True)[:_LATEST] if folders.is_dir() else []
    for directory in latest:
        folder = RunFolder(directory)
        with suppress(StoreError, OSError, ValueError):  # another version's is no pilot
            if not folder.recorded("cases-*.jsonl") & asked.keys():
                continue
            found = {
                result.case.id: result
                for result in folder.results()
                if result.case.id in asked
                and result.status == "complete"
                and result.stopped is None
                and _content(result.case.experiment) == _content(asked[result.case.id].experiment)
            }
            if found:
                return Pilot(directory.name, found)
    return None


def _content(experiment: Any) -> Any:
    content = experiment.model_dump(mode="json", exclude=_FREE)
    for which in ("limit", "only"):
        content["task"].pop(which, None)
    return content
