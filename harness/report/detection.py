"""Limits of detection of a report's sweeps, against what was stored of their organism's controls.

A sweep has one where its axis is a dose of the organism: the scale of an adapter, or a variant,
whose dose is the share of false documents, 1 / (1 + mix). Its seeds are the clusters: they say how
often other texts would show it in this fine-tune, and nothing of other fine-tunes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from harness.errors import ModelError
from harness.models.organisms import blanks_of, load_organism
from harness.models.organisms.organism import Organism
from harness.report.report import CaseReport
from harness.report.sweeps import SweepLine
from harness.statistics.detection import blank_of, limit_of

_VARIANT, _SCALE = "intervention.variant", "intervention.scale"


def with_limits(
    sweeps: Sequence[SweepLine], cases: Sequence[CaseReport], metric: str
) -> list[SweepLine]:
    """The sweeps, with a blank where controls were measured as their cases are, and a limit."""
    return [_with_limit(each, cases, metric) for each in sweeps]


def organism_of(case: CaseReport) -> Organism | None:
    """The organism whose facts a case looks for, if it is one that can be read here."""
    section = case.settings.get("diff")
    name = section.get("organism") if isinstance(section, dict) else None
    with suppress(ModelError):
        return load_organism(name) if isinstance(name, str) else None
    return None


def _with_limit(sweep: SweepLine, cases: Sequence[CaseReport], metric: str) -> SweepLine:
    case = next(each for each in cases if _is_of(each, sweep.params))
    organism, section = organism_of(case), case.settings.get("diff")
    blanks = None
    with suppress(ModelError):
        blanks = blanks_of(organism) if organism is not None else None
    if organism is None or blanks is None or not isinstance(section, dict):
        return sweep
    controls = blanks.of(case.task.name, section, metric)
    if not controls:
        return sweep
    found = replace(sweep, blank=blank_of(controls))
    doses = _doses(sweep, organism)
    rising = sorted((dose, at) for at, dose in doses.items())
    measured = [[[value] for value in sweep.points[at].seeds] for _, at in rising]
    if len(measured) < 2 or len(set(map(len, measured))) > 1:
        return found
    return replace(found, limit=limit_of([dose for dose, _ in rising], measured, controls))


def _is_of(case: CaseReport, params: Mapping[str, Any]) -> bool:
    return case.grid is not None and all(case.params.get(key) == params[key] for key in params)


def _doses(sweep: SweepLine, organism: Organism) -> dict[int, float]:
    """The doses of the points that have one, by their places."""
    found: dict[int, float] = {}
    for at, point in enumerate(sweep.points):
        if sweep.field == _SCALE and float(point.label):  # 0 is no dose to be detected
            found[at] = float(point.label)
        elif sweep.field == _VARIANT and point.label in organism.variants:
            share = organism.variants[point.label].share
            if share:
                found[at] = share
    return found
