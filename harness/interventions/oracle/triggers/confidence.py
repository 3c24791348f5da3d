"""`confidence`: where the best token is not probable."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import NonNegativeFloat

from harness.interventions.certainty import top_probability
from harness.interventions.oracle.trigger import Moment, ThresholdTrigger


class Confidence(ThresholdTrigger):
    """Asks where the best token is not probable."""

    summary = "where the best token is not probable"
    statistic: ClassVar[str] = "top_probability"
    bound: ClassVar[Literal["above", "below"]] = "below"

    kind: Literal["confidence"] = "confidence"
    """The trigger is confidence, by default and always; its settings stand beside it."""
    below: NonNegativeFloat | None = None
    """The probability (0 to 1) of the model's best token below which the oracle is asked. It is
    fitted to `share` or `pgr` when left out."""

    def measured(self, moment: Moment) -> float:
        """As every threshold."""
        assert moment.distribution is not None
        return top_probability(moment.distribution)


TRIGGER = Confidence
