"""`margin`: where the best token is hardly better than the second."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import NonNegativeFloat

from harness.interventions.certainty import margin
from harness.interventions.oracle.trigger import Moment, ThresholdTrigger


class Margin(ThresholdTrigger):
    """Asks where the best token is hardly better than the second."""

    summary = "where the best token is hardly better than the second"
    statistic: ClassVar[str] = "margin"
    bound: ClassVar[Literal["above", "below"]] = "below"

    kind: Literal["margin"] = "margin"
    """The trigger is margin, by default and always; its settings stand beside it."""
    below: NonNegativeFloat | None = None
    """The threshold, a difference of probabilities (0 to 1), below which the oracle is asked. It is
    fitted to `share` or `pgr` when left out."""

    def measured(self, moment: Moment) -> float:
        """As every threshold."""
        assert moment.distribution is not None
        return margin(moment.distribution)


TRIGGER = Margin
