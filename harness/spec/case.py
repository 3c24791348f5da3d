"""One point of an experiment's grid: every axis fixed, with an id made of its axis values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import JsonValue

from harness.spec.experiment import Experiment
from harness.spec.origins import SpecSource
from harness.spec.treatment import dosed_rule


@dataclass(frozen=True)
class Case:
    """A case: `experiment` has no axes left, `params` says which values they were fixed at.

    `params` holds values as the spec writes them; in `experiment` paths are absolute. `dose` is the
    value of the field that `experiment.dose` names, None where it names none.

    `of` is the number of cases of the whole grid, `sizes` that of the values of each of its axes
    (none for a baseline, and in records of earlier versions).

    `baseline` is the same case with no intervention at all, or without the sampling rule that the
    dose belongs to (None for a baseline itself, and for a case that intervenes in nothing). The
    neutral dose of an intervention is another case: that it equals the baseline is an invariant to
    be checked, not a definition.
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
    def is_baseline(self) -> bool:
        """Whether it is there for others to be held against."""
        return self.id.removeprefix(self.experiment.name).startswith("[baseline")

    @property
    def is_neutral(self) -> bool:
        """Whether the case intervenes at the dose that must change nothing.

        Of a sampling rule that is its neutral value, of a temperature the baseline's own.
        """
        settings = self.experiment.intervention
        if settings is not None:
            return settings == settings.neutral()
        rule = dosed_rule(self.experiment)
        if rule is None or self.baseline is None:
            return False
        sampling = self.experiment.sampling
        return rule.is_neutral(sampling.rules[rule.name]) or (
            sampling == self.baseline.experiment.sampling
        )

    @property
    def tried(self) -> tuple[str, ...]:
        """The sampling rule that acts though it is neutral, so that this is seen to be so."""
        rule = dosed_rule(self.experiment)
        known = rule is not None and not rule.draws and self.is_neutral
        return (rule.name,) if rule is not None and known else ()
