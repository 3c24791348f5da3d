"""An item of `metrics:`: the name of a registered metric, or a kind of metric with its settings.

Which kinds there are is up to `harness.registry.metrics`; their sections are validated as the
variants of one union, told apart by `kind`, as those of interventions are.
"""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, Literal, TypeAlias, Union

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler, TypeAdapter
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from harness import registry
from harness.spec.gates.grammar import METRIC
from harness.spec.registered import registered
from harness.spec.settings import Settings

Good = Literal["higher", "lower", "neither"]
Sort = Literal["rate", "score", "count", "loss", "distance", "ratio"]


class MetricSettings(Settings):
    """Base of every kind's section, which gives `kind` the literal type of its own name.

    Fields of several kinds that have one name mean the same: a path is one in all of them.
    """

    kind: str
    name: Annotated[str, Field(pattern=rf"^{METRIC}$", max_length=60)] | None = None
    """What tables, gates and curves call it: letters, digits and _ @ -. Its kind when left out."""
    good: Good | None = None
    """The direction in which a change is for the better: higher, lower, or neither. That of its
    kind when left out."""

    @property
    def called(self) -> str:
        """Its name in tables, gates and curves."""
        return self.name or self.kind


def sections() -> tuple[type[MetricSettings], ...]:
    """The sections of all registered kinds of metrics, the built-in ones first."""
    return tuple(registry.metrics.get(name).section for name in registry.metrics.names())


def section_of(item: str | MetricSettings) -> MetricSettings:
    """An item of `metrics:` as a section; a name stands for its kind without any setting."""
    return item if isinstance(item, MetricSettings) else _validated_section({"kind": item})


def needs_of(name: str) -> list[str]:
    """The settings that a kind of metric cannot do without."""
    fields = registry.metrics.get(name).section.model_fields
    return [field for field, info in fields.items() if info.is_required() and field != "kind"]


def items_of(written: Any) -> list[str | MetricSettings]:
    """The items of a `metrics:` as it was written, in a report for example.

    Raises:
        ValueError: one of them is not registered here.
    """
    return _ITEMS.validate_python(written)


@cache
def _union(variants: tuple[type[MetricSettings], ...]) -> TypeAdapter[MetricSettings]:
    union: Any = Union[variants]  # noqa: UP007 - of types that are known at run time only
    return TypeAdapter(Annotated[union, Field(discriminator="kind")])


def _validated_section(value: Any) -> MetricSettings:
    return _union(sections()).validate_python(value)


_NAME = TypeAdapter(Annotated[str, registered(registry.metrics)])


def _validated(value: Any) -> str | MetricSettings:
    if not isinstance(value, str):
        return _validated_section(value)
    name = _NAME.validate_python(value)
    needed = needs_of(name)
    if needed:
        raise ValueError(
            f"{name} needs {', '.join(needed)}; write {{kind: {name}, {needed[0]}: ...}}"
        )
    return name


class _Registered:
    """Validates by the registered kinds, whichever there are by then."""

    def __get_pydantic_core_schema__(self, _: Any, __: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(_validated)

    def __get_pydantic_json_schema__(
        self, _: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {
            "anyOf": [handler(_NAME.core_schema), handler(_union(sections()).core_schema)],
        }


#: The name of a registered metric, or the section of any registered kind.
AnyMetric: TypeAlias = Annotated[str | MetricSettings, _Registered()]

_ITEMS = TypeAdapter(list[AnyMetric])
