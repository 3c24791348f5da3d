"""`attention_entropy`: where the last layer's heads look at much at once."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import NonNegativeFloat

from harness.errors import RequestError
from harness.interventions.certainty import attention_statistics
from harness.interventions.oracle.trigger import Moment, Reads, ThresholdTrigger


class AttentionEntropy(ThresholdTrigger):
    """Asks where the attention of the last layer has much entropy, over its heads on average."""

    summary = "where the attention of the last layer has much entropy"
    reads: ClassVar[frozenset[Reads]] = frozenset({"attention"})
    statistic: ClassVar[str] = "attention_entropy"

    kind: Literal["attention_entropy"] = "attention_entropy"
    """The trigger is attention_entropy, by default and always; its settings stand beside it."""
    above: NonNegativeFloat | None = None
    """The threshold in bits above which the oracle is asked. It is fitted to `share` or `pgr` when
    left out."""

    def measured(self, moment: Moment) -> float:
        """As every threshold."""
        if moment.attention is None:
            raise RequestError(
                "attention_entropy reads attention, which this model computes by a kernel that "
                "does not show it; use another trigger"
            )
        return attention_statistics(*moment.attention)[self.statistic]


TRIGGER = AttentionEntropy
