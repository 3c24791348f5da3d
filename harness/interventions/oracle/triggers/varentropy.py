"""`varentropy`: where the information of the next token varies much."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import NonNegativeFloat, model_validator

from harness.interventions.oracle.statistics import varentropy
from harness.interventions.oracle.trigger import Moment, Threshold


class Varentropy(Threshold):
    """Asks where the information of the next token varies much."""

    summary = "where the information of the next token varies much"
    statistic: ClassVar[str | None] = "varentropy"
    rising: ClassVar[bool] = True

    kind: Literal["varentropy"] = "varentropy"
    """Which trigger this is, by default and always: varentropy."""
    above: NonNegativeFloat | None = None
    """The threshold, in bits squared. Fitted to `share` when left out."""

    @model_validator(mode="after")
    def _has_a_threshold(self) -> Self:
        if (self.above is None) == (self.share is None):
            raise ValueError("say either above or share: a threshold, or what it is fitted to")
        return self

    @property
    def threshold(self) -> float | None:
        """As of every threshold."""
        return self.above

    def at(self, threshold: float) -> Self:
        """As every threshold."""
        return self.model_copy(update={"above": threshold, "share": None})

    def measured(self, moment: Moment) -> float:
        """As every threshold."""
        assert moment.distribution is not None
        return varentropy(moment.distribution)


TRIGGER = Varentropy
