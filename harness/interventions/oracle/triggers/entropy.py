"""`entropy`: where the distribution of the next token has much entropy."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import NonNegativeFloat

from harness.interventions.certainty import entropy
from harness.interventions.oracle.trigger import Moment, ThresholdTrigger


class Entropy(ThresholdTrigger):
    """Asks where the distribution of the next token has much entropy."""

    summary = "where the distribution of the next token has much entropy"
    statistic: ClassVar[str] = "entropy"

    kind: Literal["entropy"] = "entropy"
    """The trigger is entropy, by default and always; its settings stand beside it."""
    above: NonNegativeFloat | None = None
    """The threshold in bits above which the oracle is asked. It is fitted to `share` or `pgr` when
    left out."""

    def measured(self, moment: Moment) -> float:
        """As every threshold."""
        assert moment.distribution is not None
        return entropy(moment.distribution)


TRIGGER = Entropy
