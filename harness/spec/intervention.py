"""The section of a spec that intervenes: what every kind's has, and how the right one is found.

Which kinds there are is up to `harness.registry.interventions`; their sections are validated as the
variants of one union, told apart by `kind`, so that errors keep their fields and their lines.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, ClassVar, Self, TypeAlias, Union

from pydantic import (
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    JsonValue,
    NonNegativeInt,
    PositiveInt,
    TypeAdapter,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from harness import registry
from harness.spec.settings import Settings


@dataclass(frozen=True, slots=True)
class Control:
    """A field of a section, by one value of which a control takes the intervention's place.

    Args:
        field: It. Where it is None, the intervention and its control are run side by side.
        other: Its value for the control.
        own: Its value for the intervention itself; None where that is whatever the section says.
        axis: What tables and plots call it.
        words: What they call its two values; none where control and intervention are told apart
            like any other two values.
    """

    field: str
    other: JsonValue
    own: JsonValue = None
    axis: str = ""
    words: tuple[str, str] | None = None


class InterventionSettings(Settings):
    """Base of every kind's section, which gives `kind` the literal type of its own name."""

    controlled: ClassVar[Control | None] = None
    """What makes a control of it; None where it has none."""
    says_how: ClassVar[frozenset[str]] = frozenset()
    """Fields, dotted, that say how it is done and never where, nor what has to be read of a model
    for it: what one value of them needs of an engine, all need."""
    says_layers: ClassVar[frozenset[str]] = frozenset()
    """Fields, dotted, that name layers, one or a list of them."""

    kind: str

    def neutral(self) -> Self:
        """The same section at the dose that must change nothing."""
        raise NotImplementedError

    def control_axis(self) -> dict[str, list[JsonValue]]:
        """Fields of the section with two values, its own and the control's; {} without control."""
        control = self.controlled
        if control is None:
            return {}
        said = self.model_dump(mode="json", include={control.field})[control.field]
        return {control.field: [control.own or said, control.other]}

    @property
    def leaves_control_open(self) -> bool:
        """Whether the control is run beside it because the spec does not say."""
        return self.controlled is not None and getattr(self, self.controlled.field) is None

    def without_control(self) -> Self:
        """The section with its own effect only."""
        control = self.controlled
        if control is None or not self.leaves_control_open:
            return self
        return self.model_copy(update={control.field: control.own})

    def engines(self) -> Mapping[str, tuple[str, Any]]:
        """Further engines that it asks, by the names in requests: a model, and the section of the
        engine that runs it (None for that of the spec).
        """
        return {}

    def translated(self) -> tuple[str, ...]:
        """Those of its engines that have tokens of their own, and are given a prompt in these."""
        return ()

    def metrics(self) -> tuple[str, ...]:
        """Registered metrics that are counted of its cases, whatever a spec asks for."""
        return ()

    def check_held_out(self) -> None:
        """Raise `FieldError` where it is measured on the very samples that are evaluated."""


class PairSection(Settings):
    """Base of what is built from contrastive pairs, wherever it stands in an intervention.

    Its fields are declared where they are described, `samples` with a default of its own.
    """

    pairs: str
    data: str | None
    samples: PositiveInt
    concept: NonNegativeInt | None = None
    """Which concept_id is read of a file in AxBench's format. The only one when left out."""


def sections() -> tuple[type[InterventionSettings], ...]:
    """The sections of all registered kinds, the built-in ones first."""
    kinds = registry.interventions
    return tuple(kinds.get(name).section for name in kinds.names())


def controls() -> Mapping[str, Control]:
    """The axes on which a registered kind stands beside its control, by their whole names."""
    return _controls(sections())


@cache
def _controls(variants: tuple[type[InterventionSettings], ...]) -> Mapping[str, Control]:
    found = [each.controlled for each in variants if each.controlled is not None]
    return {f"intervention.{each.field}": each for each in found if each.words is not None}


@cache
def _union(variants: tuple[type[InterventionSettings], ...]) -> TypeAdapter[InterventionSettings]:
    union: Any = Union[variants]  # noqa: UP007 - of types that are known at run time only
    return TypeAdapter(Annotated[union, Field(discriminator="kind")])


class _Registered:
    """Validates by the registered sections, whichever there are by then."""

    def __get_pydantic_core_schema__(self, _: Any, __: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            lambda value: _union(sections()).validate_python(value)
        )

    def __get_pydantic_json_schema__(
        self, _: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return handler(_union(sections()).core_schema)


#: The section of any registered kind.
AnyIntervention: TypeAlias = Annotated[InterventionSettings, _Registered()]
