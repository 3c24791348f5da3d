"""`first_n`: at the first occasions, so that the oracle begins the answer."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import PositiveInt

from harness.interventions.oracle.trigger import Moment, Trigger


class FirstN(Trigger):
    """Asks at the first n occasions."""

    summary = "at the first n occasions"
    foreseen: ClassVar[bool] = True

    kind: Literal["first_n"] = "first_n"
    """The trigger is first_n, by default and always; its settings stand beside it."""
    n: PositiveInt = 1
    """The oracle is asked at the first n occasions of an answer, and at none after; 1 by
    default."""

    def fires(self, moment: Moment) -> bool:
        """As every trigger."""
        return moment.occasion < self.n


TRIGGER = FirstN
