"""The form as a table of dotted fields: what a spec, an axis or an override may name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from itertools import chain
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from harness import registry
from harness.spec.experiment import Experiment
from harness.spec.intervention import InterventionSettings
from harness.spec.intervention import sections as interventions
from harness.spec.layers import changed
from harness.spec.measure_sections import section_form, with_sections
from harness.spec.metric import MetricSettings
from harness.spec.metric import sections as metrics
from harness.spec.sampling import SamplingSettings
from harness.spec.settings import Registered, Resolved, Settings


def members(annotation: Any) -> Iterator[Any]:
    """The types and markers of an annotation, its lists, unions and `Annotated`s taken apart."""
    if get_origin(annotation) in (Annotated, Union, UnionType, list):
        for argument in get_args(annotation):
            yield from members(argument)
    else:
        yield annotation


def sections(info: FieldInfo) -> list[type[BaseModel]]:
    """The sections that may fill in a field: none for a plain value, several for a union."""
    parts = dict.fromkeys((*members(info.annotation), *info.metadata))
    if InterventionSettings in parts:
        return [*interventions()]
    if MetricSettings in parts:
        return [*metrics()]
    registered = [part for part in parts if isinstance(part, Registered)]
    if registered:
        return [*registered[0].sections()]
    kinds = [kind for kind in parts if isinstance(kind, type) and issubclass(kind, BaseModel)]
    return [kind.form() if issubclass(kind, Settings) else kind for kind in kinds]


def fields_of(section: type[BaseModel]) -> Mapping[str, FieldInfo]:
    """The fields of a section; of the whole form also the sections that measures bring."""
    if section is Experiment:
        return with_sections(section.model_fields, section_form().model_fields)
    return section.model_fields


def _table(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    for name, info in fields_of(model).items():
        yield prefix + name, info
        for section in sections(info):
            yield from _table(section, f"{prefix}{name}.")


def fields() -> Mapping[str, FieldInfo]:
    """Every field of the form under its dotted name, sections before what is in them.

    As it is now: what is registered later has its fields, too.
    """
    return _fields(_registered())


def _registered() -> tuple[type[BaseModel], ...]:
    """The sections of all that is registered at this moment."""
    triggers = (registry.triggers.get(name) for name in registry.triggers.names())
    return (*interventions(), *metrics(), *triggers, SamplingSettings.form(), section_form())


@cache
def _fields(_: tuple[type[BaseModel], ...]) -> Mapping[str, FieldInfo]:
    """The fields with these sections of what is registered."""
    return dict(_table(Experiment))


@cache
def _paths(_: tuple[type[BaseModel], ...]) -> Mapping[str, Resolved]:
    return {
        name: marker
        for name, info in fields().items()
        for marker in chain(members(info.annotation), info.metadata)
        if isinstance(marker, Resolved)
    }


def resolved(values: Mapping[str, Any], folder: Path, under: str = "") -> dict[str, Any]:
    """`values` with the paths in them made absolute; with `under`, only those at or below it."""
    return resolving(folder, under)(values)


def resolving(folder: Path, under: str = "") -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """What does that to many values alike, by what is registered now."""
    paths = {
        name: _resolving(marker, folder)
        for name, marker in _paths(_registered()).items()
        if f"{name}.".startswith(under and f"{under}.")
    }

    def resolve(values: Mapping[str, Any]) -> dict[str, Any]:
        found: Any = dict(values)
        for name, change in paths.items():
            found = changed(found, name, change)
        return dict(found)

    return resolve


def _resolving(marker: Resolved, folder: Path) -> Callable[[str], str]:
    return lambda text: marker.resolve(text, folder)
