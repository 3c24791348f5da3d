"""A kind by `policy`: where the model is in doubt, the token is drawn under a nudge."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Self

from harness.interventions.array import Array
from harness.interventions.kind import Kind
from harness.interventions.policy import Draw, Policy, Probe
from harness.invariants.family import EVERY_POLICY, Family
from harness.models.loading import load_config
from harness.models.sites import hidden_shape
from harness.resolve.resolution import Resolution
from harness.spec.intervention import InterventionSettings
from tests.kinds.nudge import Nudge


class DoubtSettings(InterventionSettings):
    """Nudges the model where its best token is less probable than a threshold."""

    kind: Literal["doubt"]
    """What is done: doubt."""
    amount: float
    """The dose; 0 is neutral."""

    def neutral(self) -> Self:
        return self.model_copy(update={"amount": 0.0})


class Doubt(Policy):
    kind: Literal["doubt"] = "doubt"
    nudge: Nudge
    threshold: float = 0.99

    def neutral(self) -> Self:
        return self.model_copy(update={"nudge": self.nudge.neutral()})

    def course(self) -> Course:
        return Course(self)

    def at_rest(self) -> Nudge:
        return self.nudge.neutral()

    def rows(self, tokens):
        return self.nudge, None


@dataclass
class Course:
    doubt: Doubt
    best: list[float] = field(default_factory=list)

    def next(self, step, answers):
        if not answers:
            return Probe((None,))
        (own,) = answers
        self.best.append(float(own.distribution.max().exp()))
        return Draw(self.doubt.nudge if self.best[-1] < self.doubt.threshold else None)

    def traces(self, tokens):
        return {"best": tuple(self.best[:tokens])}


class DoubtResolution(Resolution[DoubtSettings]):
    def resolve(self, experiment, settings) -> Doubt:
        _, width = hidden_shape(load_config(experiment.model))
        nudge = Nudge(layer=1, amount=settings.amount, signs=Array([1.0] * width))
        return Doubt(nudge=nudge, threshold=1.1)


def doses(config) -> tuple[Doubt, ...]:
    layers, width = hidden_shape(config)
    nudge = Nudge(layer=layers - 1, amount=2.0, signs=Array([1.0] * width))
    return (Doubt(nudge=nudge), Doubt(nudge=nudge, threshold=1.1))


KIND = Kind(
    "doubt",
    "The model is nudged wherever it is in doubt.",
    mechanism="policy",
    section=DoubtSettings,
    description=Doubt,
    resolution=DoubtResolution,
    identities=Family("doubt", doses=doses, inherited=EVERY_POLICY),
)
