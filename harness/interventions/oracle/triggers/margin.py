"""`margin`: where the best token is hardly better than the second."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import NonNegativeFloat, model_validator

from harness.interventions.oracle.statistics import margin
from harness.interventions.oracle.trigger import Moment, Threshold


class Margin(Threshold):
    """Asks where the best token is hardly better than the second."""

    summary = "where the best token is hardly better than the second"
    statistic: ClassVar[str | None] = "margin"
    rising: ClassVar[bool] = False

    kind: Literal["margin"] = "margin"
    """Which trigger this is, by default and always: margin."""
    below: NonNegativeFloat | None = None
    """The threshold, a difference of probabilities. Fitted to `share` when left out."""

    @model_validator(mode="after")
    def _has_a_threshold(self) -> Self:
        if (self.below is None) == (self.share is None):
            raise ValueError("say either below or share: a threshold, or what it is fitted to")
        return self

    @property
    def threshold(self) -> float | None:
        """As of every threshold."""
        return self.below

    def at(self, threshold: float) -> Self:
        """As every threshold."""
        return self.model_copy(update={"below": threshold, "share": None})

    def measured(self, moment: Moment) -> float:
        """As every threshold."""
        assert moment.distribution is not None
        return margin(moment.distribution)


TRIGGER = Margin
