"""One point of an experiment's grid: every axis fixed, with an id made of its axis values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import JsonValue

from harness.spec.experiment import Experiment
from harness.spec.origins import SpecSource


@dataclass(frozen=True)
class Case:
    """A case: `experiment` has no axes left, `params` says which values they were fixed at.

    `params` holds values as the spec writes them; in `experiment` paths are absolute. `dose` is the
    value of the field that `experiment.dose` names, None where it names none.

    `of` is the number of cases of the whole grid, `sizes` that of the values of each of its axes
    (none for a baseline, and in records of earlier versions).

    `baseline` is the same case with no intervention at all (None for a baseline itself, and for a
    case that intervenes in nothing). The neutral dose of an intervention is another case: that it
    equals the baseline is an invariant to be checked, not a definition.
    """

    id: str
    experiment: Experiment
    params: Mapping[str, JsonValue]
    dose: float | None
    source: SpecSource
    of: int = 1
    baseline: Case | None = None
    sizes: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_neutral(self) -> bool:
        """Whether the case intervenes at the dose that must change nothing."""
        settings = self.experiment.intervention
        return settings is not None and settings == settings.neutral()
