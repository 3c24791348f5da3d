"""A trigger: when a model asks its oracle. What it is told, and how a spec writes it.

    trigger: random                          # a registered one, with its defaults
    trigger: {kind: entropy, above: 1.5}     # the same with settings

A trigger is asked at every occasion: where a piece of the answer is complete and help is left. Its
settings are its description, so that one class is both: numbers and no paths.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self, TypeAlias, Union

from pydantic import (
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    JsonValue,
    TypeAdapter,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from harness import registry
from harness.interventions.steering_terms import Site
from harness.spec.settings import Registered, Settings

if TYPE_CHECKING:
    from torch import Tensor

Reads: TypeAlias = Literal["distribution", "oracle", "attention", "hidden"]
"""What engines tell: the model's distribution of the token to come, and the oracle's; the model's
attention at the last token, and its hidden state there."""


@dataclass(frozen=True, slots=True)
class Moment:
    """An occasion to ask.

    Args:
        occasion: How many there were before in this sequence.
        position: Tokens that are written.
        limit: Tokens that the answer may come to.
        sample: The sample that is answered.
        draw: Which of its completions this is.
        piece: Gives the text of the last piece that the model wrote itself; empty before the first.
        distribution: The model's log-probabilities [V] of the token to come, if it reads them.
        oracle: The oracle's, if it reads them.
        attention: Weights and scores [2, heads, K] of the model's last layer, at the last token
            that is written, over the K tokens that it may see, if it reads them.
        hidden: The model's hidden state [H] at the trigger's place and that token, if it reads it.
    """

    occasion: int
    position: int
    limit: int
    sample: str
    draw: int
    piece: Callable[[], str]
    distribution: Tensor | None = None
    oracle: Tensor | None = None
    attention: Tensor | None = None
    hidden: Tensor | None = None

    def chance(self, seed: int) -> float:
        """A number from 0 to 1, uniform: the same for all conditions at a sample's position."""
        told = f"{seed} {self.sample} {self.draw} {self.position}"
        return int.from_bytes(sha256(told.encode()).digest()[:8]) / 2**64


class Trigger(Settings):
    """Base of every trigger, which gives `kind` the literal type of its own name."""

    summary: ClassVar[str] = ""
    reads: ClassVar[frozenset[Reads]] = frozenset()
    """What it needs of engines; nothing where it goes by what is written."""
    foreseen: ClassVar[bool] = False
    """Whether it goes by occasion and position alone, so that it is known before they come."""

    kind: str

    @property
    def place(self) -> tuple[int, Site] | None:
        """The layer and site whose hidden state it reads, if it reads one."""
        return None

    def content(self) -> JsonValue:
        """What decides when it asks: its settings, and what the files that they name hold."""
        found: JsonValue = self.model_dump(mode="json")
        return found

    def check(self) -> None:
        """Raise `FieldError` for settings that cannot be, such as a file that is not there."""

    @property
    def never(self) -> bool:
        """Whether its settings leave nothing to ask for, so that nobody is at hand to be asked."""
        return False

    @abstractmethod
    def fires(self, moment: Moment) -> bool:
        """Whether the model asks now."""


class ThresholdTrigger(Trigger):
    """Base of those that ask where a number of the model's passes a threshold.

    The threshold is the field that `bound` names: given, or fitted on samples of the task that are
    not evaluated. To a share: so that the oracle would say that share of the tokens if its help
    changed nothing of what follows. To a promise: the one that asks least often and was shown to
    recover at least `pgr` of the gap between the two models.
    """

    reads: ClassVar[frozenset[Reads]] = frozenset({"distribution"})
    bound: ClassVar[Literal["above", "below"]] = "above"
    """Which side of the threshold asks."""
    statistic: ClassVar[str]
    """The number that it compares, by its name in `Completion.traces`, behind `asked`."""

    share: Annotated[float, Field(ge=0, le=1)] | None = None
    """The oracle's share of the tokens (0 to 1) that is aimed at: the threshold is fitted to it, on
    samples of the task that are not evaluated. 0 is never, and neutral. A threshold is given when
    left out."""
    pgr: Annotated[float, Field(gt=0, lt=1)] | None = None
    """The share (between 0 and 1) of the performance gap that is promised: the threshold is the one
    that asks least often and, on samples that are not evaluated, is shown at 95 % to recover at
    least this; without one the case is refused. No promise when left out."""

    @model_validator(mode="after")
    def _has_a_threshold(self) -> Self:
        if [self.threshold, self.share, self.pgr].count(None) != 2:
            raise ValueError(
                f"say either {self.bound} or share or pgr: a threshold, or what it is fitted to"
            )
        return self

    @abstractmethod
    def measured(self, moment: Moment) -> float:
        """The number at this moment."""

    @property
    def never(self) -> bool:
        """A share of nothing; beyond a fitted threshold there might be something after all."""
        return self.share == 0

    @property
    def threshold(self) -> float | None:
        """What it is compared with; None where it is still to be fitted."""
        found: float | None = getattr(self, self.bound)
        return found

    def at(self, threshold: float) -> Self:
        """The same with its threshold given."""
        return self.model_copy(update={self.bound: threshold, "share": None, "pgr": None})

    def fires(self, moment: Moment) -> bool:
        """Beyond the threshold, and not on it."""
        threshold = self.threshold
        assert threshold is not None, "it is fitted before it is asked"
        value = self.measured(moment)
        return value > threshold if self.bound == "above" else value < threshold


def triggers() -> tuple[type[Trigger], ...]:
    """All registered triggers, the built-in ones first."""
    return tuple(registry.triggers.get(name) for name in registry.triggers.names())


@cache
def _union(variants: tuple[type[Trigger], ...]) -> TypeAdapter[Trigger]:
    union: Any = Union[variants]  # noqa: UP007 - of types that are known at run time only
    return TypeAdapter(Annotated[union, Field(discriminator="kind")])


def _validated(value: Any) -> Trigger:
    """A trigger of a name or of a section; a name stands for its kind without any setting."""
    if isinstance(value, str):
        value = {"kind": value}
    return _union(triggers()).validate_python(value)


class _Triggers(Registered):
    """Validates by the registered triggers, whichever there are by then."""

    def sections(self) -> tuple[type[Trigger], ...]:
        """All of them."""
        return triggers()

    def __get_pydantic_core_schema__(self, _: Any, __: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            _validated,
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda trigger: trigger.model_dump(mode="json")
            ),
        )

    def __get_pydantic_json_schema__(
        self, _: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        names = {"type": "string", "enum": list(registry.triggers.names())}
        return {"anyOf": [names, handler(_union(triggers()).core_schema)]}


#: A registered trigger, by its name or with its settings.
AnyTrigger: TypeAlias = Annotated[Trigger, _Triggers()]
