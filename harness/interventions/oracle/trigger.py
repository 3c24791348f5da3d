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

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler, TypeAdapter
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from harness import registry
from harness.spec.settings import Registered, Settings

if TYPE_CHECKING:
    from torch import Tensor

Reads: TypeAlias = Literal["distribution", "oracle"]
"""What engines tell: the model's distribution of the token to come, and the oracle's."""


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
    """

    occasion: int
    position: int
    limit: int
    sample: str
    draw: int
    piece: Callable[[], str]
    distribution: Tensor | None = None
    oracle: Tensor | None = None

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
    statistic: ClassVar[str | None] = None
    """The number that it compares, by its name in `oracle/statistics.py`."""

    kind: str

    @abstractmethod
    def fires(self, moment: Moment) -> bool:
        """Whether the model asks now."""


class Threshold(Trigger):
    """Base of those that ask where a statistic of the model's distribution passes a threshold.

    The threshold is given, or fitted: on samples of the task that are not evaluated, so that the
    oracle would say that share of the tokens if its help changed nothing of what follows.
    """

    reads: ClassVar[frozenset[Reads]] = frozenset({"distribution"})
    rising: ClassVar[bool] = True
    """Whether larger numbers ask; else smaller ones."""

    share: Annotated[float, Field(ge=0, le=1)] | None = None
    """The oracle's share of the tokens (0 to 1) that is aimed at: the threshold is fitted to it, on
    samples of the task that are not evaluated. A threshold is given when left out."""

    @abstractmethod
    def measured(self, moment: Moment) -> float:
        """The number at this moment."""

    @property
    @abstractmethod
    def threshold(self) -> float | None:
        """What it is compared with; None where it is still to be fitted."""

    @abstractmethod
    def at(self, threshold: float) -> Self:
        """The same with its threshold given."""

    def fires(self, moment: Moment) -> bool:
        """Beyond the threshold, and not on it."""
        threshold = self.threshold
        assert threshold is not None, "it is fitted before it is asked"
        value = self.measured(moment)
        return value > threshold if self.rising else value < threshold


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
