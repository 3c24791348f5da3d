"""`varentropy`: where the information of the next token varies much."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import NonNegativeFloat

from harness.interventions.certainty import varentropy
from harness.interventions.oracle.trigger import Moment, ThresholdTrigger


class Varentropy(ThresholdTrigger):
    """Asks where the information of the next token varies much."""

    summary = "where the information of the next token varies much"
    statistic: ClassVar[str] = "varentropy"

    kind: Literal["varentropy"] = "varentropy"
    """Which trigger this is, by default and always: varentropy."""
    above: NonNegativeFloat | None = None
    """The threshold, in bits squared. Fitted to `share` or `pgr` when left out."""

    def measured(self, moment: Moment) -> float:
        """As every threshold."""
        assert moment.distribution is not None
        return varentropy(moment.distribution)


TRIGGER = Varentropy
