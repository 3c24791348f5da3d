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
    """The trigger is varentropy, by default and always; its settings stand beside it."""
    above: NonNegativeFloat | None = None
    """The threshold in bits squared above which the oracle is asked. It is fitted to `share` or
    `pgr` when left out."""

    def measured(self, moment: Moment) -> float:
        """As every threshold."""
        assert moment.distribution is not None
        return varentropy(moment.distribution)


TRIGGER = Varentropy
