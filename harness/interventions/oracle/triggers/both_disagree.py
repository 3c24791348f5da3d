"""`both_disagree`: where the oracle would say something else, which costs a look at the oracle."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import NonNegativeFloat

from harness.interventions.certainty import kl_divergence
from harness.interventions.oracle.trigger import Moment, Reads, Trigger


class BothDisagree(Trigger):
    """Asks where the two models disagree on the next token.

    Both are read at every occasion. Source: arXiv:2605.16874, where the oracle takes a token where
    the divergence is large.
    """

    summary = "where the oracle's next token is another one, or its distribution far away"
    reads: ClassVar[frozenset[Reads]] = frozenset({"distribution", "oracle"})

    kind: Literal["both_disagree"] = "both_disagree"
    """The trigger is both_disagree, by default and always; its settings stand beside it."""
    above: NonNegativeFloat | None = None
    """Nats of KL(oracle || model) of the next token above which it asks. When left out, it asks
    where the two best tokens differ."""

    def fires(self, moment: Moment) -> bool:
        """As every trigger."""
        own, other = moment.distribution, moment.oracle
        assert own is not None
        assert other is not None
        if self.above is None:
            return int(own.argmax()) != int(other.argmax())
        return kl_divergence(own, other) > self.above


TRIGGER = BothDisagree
