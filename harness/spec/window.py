"""The section of a spec that asks for a therapeutic window: what is wanted, what must be kept."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from harness.spec.doses import RESPONSE
from harness.spec.settings import Settings


class WindowSettings(Settings):
    """Two metrics of one curve, between which the window lies."""

    target: Annotated[str, Field(min_length=1)]
    """The metric that the intervention is meant to move, such as tool_call. Its ED50, the dose at
    which half of the whole change is there, is where the window begins."""
    capability: Annotated[str, Field(min_length=1)]
    """The metric that must not get worse, such as pass@1. Its BMDL, the highest dose below which a
    loss of `response` is excluded at 95 %, is where the window ends."""
    response: Annotated[float, Field(gt=0)] = RESPONSE
    """The loss of the capability that counts, in its own unit; 0.05 by default."""

    @model_validator(mode="after")
    def _two_metrics(self) -> Self:
        if self.target == self.capability:
            raise ValueError(f"capability: {self.target} is the target; name what must be kept")
        return self
