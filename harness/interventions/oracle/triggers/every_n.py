"""`every_n`: at every n-th occasion."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import PositiveInt

from harness.interventions.oracle.trigger import Moment, Trigger


class EveryN(Trigger):
    """Asks at every n-th occasion, the first one included."""

    summary = "at every n-th occasion, the first one included"
    foreseen: ClassVar[bool] = True

    kind: Literal["every_n"] = "every_n"
    """The trigger is every_n, by default and always; its settings stand beside it."""
    n: PositiveInt = 2
    """The oracle is asked at every n-th occasion, from the first on; 1 asks always, 2 is the
    default."""

    def fires(self, moment: Moment) -> bool:
        """As every trigger."""
        return moment.occasion % self.n == 0


TRIGGER = EveryN
