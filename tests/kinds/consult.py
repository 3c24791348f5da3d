"""A kind by `guidance`: another model begins the answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self

from harness.interventions.kind import Kind
from harness.interventions.policy import AUTHOR, Draw, Guidance
from harness.invariants.family import EVERY_POLICY, Family
from harness.resolve.resolution import Resolution
from harness.spec.intervention import InterventionSettings
from harness.spec.settings import ModelReference


class ConsultSettings(InterventionSettings):
    """Has another model say the first tokens."""

    kind: Literal["consult"]
    """What is done: consult."""
    model: ModelReference
    """Who begins."""
    first: int
    """The dose; 0 is neutral."""

    def neutral(self) -> Self:
        return self.model_copy(update={"first": 0})

    def engines(self):
        return {self.model: (self.model, None)} if self.first else {}

    def metrics(self) -> tuple[str, ...]:
        return ("oracle_share", "oracle_alone") if self.first else ()


class Consult(Guidance):
    kind: Literal["consult"] = "consult"
    engine: str
    first: int

    def neutral(self) -> Self:
        return self.model_copy(update={"first": 0})

    def engines(self) -> tuple[str, ...]:
        return (self.engine,) if self.first else ()

    def course_of(self, sequence) -> Beginning:
        return Beginning(self)


@dataclass
class Beginning:
    consult: Consult

    def next(self, step, answers):
        if step < self.consult.first:
            return Draw(None, tokens=self.consult.first - step, engine=self.consult.engine)
        return Draw(None, rest=True)

    def traces(self, tokens):
        helped = min(self.consult.first, tokens)
        return {AUTHOR: (1.0,) * helped + (0.0,) * (tokens - helped)}


class ConsultResolution(Resolution[ConsultSettings]):
    def resolve(self, experiment, settings) -> Consult:
        return Consult(engine=settings.model, first=settings.first)


KIND = Kind(
    "consult",
    "Another model begins the answer.",
    mechanism="guidance",
    section=ConsultSettings,
    description=Consult,
    resolution=ConsultResolution,
    identities=Family("consult", doses=lambda _config: (), inherited=EVERY_POLICY),
)
