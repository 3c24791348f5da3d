"""A kind by `router_logits`: experts' weights become more alike, whichever were selected."""

from __future__ import annotations

from typing import Annotated, Literal, Self

import torch
from pydantic import Field

from harness.errors import ModelError
from harness.interventions.kind import Kind
from harness.interventions.router_logits import RouterLogits, Routing
from harness.invariants.family import Family
from harness.models.loading import load_config
from harness.models.routers import router_shape
from harness.resolve.resolution import Resolution
from harness.spec.intervention import InterventionSettings

Share = Annotated[float, Field(ge=0, le=1)]


class FlattenSettings(InterventionSettings):
    """Mixes routing weights with equal ones."""

    kind: Literal["flatten"]
    """What is done: flatten."""
    share: Share
    """The dose: of equal weights; 0 is neutral."""

    def neutral(self) -> Self:
        return self.model_copy(update={"share": 0.0})


class Flatten(RouterLogits):
    kind: Literal["flatten"] = "flatten"
    share: Share = 0.0

    def neutral(self) -> Self:
        return self.model_copy(update={"share": 0.0})

    def rows(self, layers, experts):
        return {"share": torch.full((len(layers),), self.share)}

    @staticmethod
    def routed(logits, scores, indices, rows):
        share = rows["share"]
        if share is None:
            share = torch.zeros(len(scores))
        share = share[:, None]
        mixed = (1 - share) * scores.float() + share * scores.float().mean(1, keepdim=True)
        changed = share[:, 0] > 0
        scores = torch.where(changed[:, None], mixed.to(scores.dtype), scores)
        return Routing(scores, indices, changed, torch.zeros_like(changed))


class FlattenResolution(Resolution[FlattenSettings]):
    @staticmethod
    def check(experiment, settings) -> None:
        router_shape(load_config(experiment.model))

    def resolve(self, experiment, settings) -> Flatten:
        return Flatten(share=settings.share)


def excuse(config) -> str | None:
    try:
        router_shape(config)
    except ModelError as error:
        return str(error)
    return None


KIND = Kind(
    "flatten",
    "Routing weights of the selected experts are made more alike.",
    mechanism="router_logits",
    section=FlattenSettings,
    description=Flatten,
    resolution=FlattenResolution,
    identities=Family(
        "flatten", doses=lambda _config: (Flatten(share=0.5), Flatten(share=1.0)), excuse=excuse
    ),
)
