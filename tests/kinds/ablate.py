"""A kind by `hidden_states`: the share of a state along a direction is taken out of it."""

from __future__ import annotations

from typing import Literal, Self

import torch

from harness.interventions.array import Array
from harness.interventions.hidden_states import HiddenStates
from harness.interventions.kind import Kind
from harness.invariants.family import Family
from harness.models.loading import load_config
from harness.models.sites import hidden_shape
from harness.resolve.resolution import Resolution
from harness.spec.intervention import InterventionSettings


class AblateSettings(InterventionSettings):
    """Takes a random direction out of the residual stream."""

    kind: Literal["ablate"]
    """What is done: ablate."""
    layer: int
    """The layer behind which it is taken out."""
    share: float
    """How much of it; 0 is neutral, 1 is all."""

    def neutral(self) -> Self:
        return self.model_copy(update={"share": 0.0})


class Ablate(HiddenStates):
    kind: Literal["ablate"] = "ablate"
    layer: int
    share: float
    direction: Array

    def neutral(self) -> Self:
        return self.model_copy(update={"share": 0.0})

    def places(self):
        return frozenset({(self.layer, "block")})

    def rows(self, width):
        direction = self.direction.tensor() if self.share else torch.zeros(width)
        return {(self.layer, "block"): {"direction": direction, "share": torch.tensor(self.share)}}

    @staticmethod
    def changed(hidden, rows):
        along = (hidden * rows["direction"]).sum(dim=-1, keepdim=True)
        return hidden - rows["share"][:, None] * along * rows["direction"]


def ablate(config, share: float, layer: int = 1, **more) -> Ablate:
    """Of a random direction of length 1."""
    _, width = hidden_shape(config)
    direction = torch.randn(width, generator=torch.Generator().manual_seed(0))
    unit = direction / direction.norm()
    return Ablate(layer=layer, share=share, direction=Array(unit.tolist()), **more)


class AblateResolution(Resolution[AblateSettings]):
    def resolve(self, experiment, settings) -> Ablate:
        return ablate(load_config(experiment.model), settings.share, settings.layer)


def doses(config) -> tuple[Ablate, ...]:
    last = hidden_shape(config)[0] - 1
    return ablate(config, 0.5, last), ablate(config, 3.0, last, positions="all")


KIND = Kind(
    "ablate",
    "A direction is taken out of the residual stream.",
    mechanism="hidden_states",
    section=AblateSettings,
    description=Ablate,
    resolution=AblateResolution,
    identities=Family("ablate", doses=doses),
)
