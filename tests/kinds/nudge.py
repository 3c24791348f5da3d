"""A kind by `residual`, as another package would bring it: one number is added to hidden states."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from harness.interventions.array import Array
from harness.interventions.kind import Kind
from harness.interventions.residual import Residual, Term
from harness.invariants.family import Family
from harness.models.loading import load_config
from harness.models.sites import hidden_shape
from harness.resolve.resolution import Resolution
from harness.spec.intervention import Control, InterventionSettings


class NudgeSettings(InterventionSettings):
    """Adds the same number everywhere in a layer's output."""

    controlled: ClassVar[Control] = Control("control", other="random", own="none")

    kind: Literal["nudge"]
    """What is done: nudge."""
    layer: int
    """Whose output."""
    amount: float
    """The dose; 0 is neutral."""
    control: Literal["none", "random"] | None = None
    """random: numbers of random signs."""

    def neutral(self) -> Self:
        return self.model_copy(update={"amount": 0.0})


class Nudge(Residual):
    kind: Literal["nudge"] = "nudge"
    layer: int
    amount: float
    signs: Array

    def neutral(self) -> Self:
        return self.model_copy(update={"amount": 0.0})

    def additions(self) -> tuple[Term, ...]:
        if not self.amount:
            return ()
        return (Term(layer=self.layer, vector=self.signs, alpha=self.amount, positions="all"),)


class NudgeResolution(Resolution[NudgeSettings]):
    def resolve(self, experiment, settings) -> Nudge:
        _, width = hidden_shape(load_config(experiment.model))
        step = 2 if settings.control == "random" else width + 1
        signs = [-1.0 if i % step == 1 else 1.0 for i in range(width)]
        return Nudge(layer=settings.layer, amount=settings.amount, signs=Array(signs))


def doses(config) -> tuple[Nudge, ...]:
    layers, width = hidden_shape(config)
    signs = Array([1.0] * width)
    return tuple(Nudge(layer=layers - 1, amount=each, signs=signs) for each in (0.5, -2.0))


KIND = Kind(
    "nudge",
    "The same number is added to all hidden states of a layer.",
    mechanism="residual",
    section=NudgeSettings,
    description=Nudge,
    resolution=NudgeResolution,
    identities=Family("nudge", doses=doses),
)
