"""`random`: by chance, the more probable the further the answer has come."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, NonNegativeInt, model_validator

from harness.interventions.oracle.trigger import Moment, Trigger


class Random(Trigger):
    """Asks by chance, with a probability that rises linearly with the position.

    At position t of at most T tokens it is start + (end - start) * t / T. Source:
    swairshah/Guided-Inference, where it rises from 0.3 to 1 and is not seeded.
    """

    summary = "by chance, with a probability that rises with the position"
    foreseen: ClassVar[bool] = True

    kind: Literal["random"] = "random"
    """The trigger is random, by default and always; its settings stand beside it."""
    start: Annotated[float, Field(ge=0, le=1)] = 0.3
    """The probability (0 to 1) with which the oracle is asked at the beginning of an answer; 0.3 by
    default."""
    end: Annotated[float, Field(ge=0, le=1)] = 1.0
    """The probability (0 to 1) with which the oracle is asked at the limit of tokens, to which it
    rises linearly, so that it is start or more; 1.0 by default."""
    seed: NonNegativeInt = 0
    """The seed by which these chances are drawn, which all conditions of a sample share; 0 by
    default."""

    @model_validator(mode="after")
    def _rises(self) -> Self:
        if self.start > self.end:
            raise ValueError(
                f"start {self.start:g} is above end {self.end:g}, and the probability rises from "
                "one to the other; give a start of at most end"
            )
        return self

    def probability(self, moment: Moment) -> float:
        """With which it asks now."""
        return self.start + (self.end - self.start) * moment.position / moment.limit

    def fires(self, moment: Moment) -> bool:
        """As every trigger."""
        return moment.chance(self.seed) < self.probability(moment)


TRIGGER = Random
