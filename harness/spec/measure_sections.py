"""The sections of a spec that registered measures bring, each under its measure's name.

    measure: forward
    forward: {hidden: full}

A built-in measure's section is there in every experiment, as a field with its defaults would be.
That of another package is there where a spec has it, or takes its measure: what is written by a
project that has the package can be read where it is not.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar

from pydantic import Field, create_model

from harness import registry
from harness.spec.settings import Settings

T = TypeVar("T")


def sections() -> dict[str, type[Settings]]:
    """The section of every registered measure that has one, by the measure's name."""
    named = {name: registry.measures.get(name) for name in registry.measures.names()}
    return {
        name: registry.loaded(measure.section)
        for name, measure in named.items()
        if measure.section is not None
    }


def section_form() -> type[Settings]:
    """All of them as one form, as they are registered now."""
    return _form(tuple(sections().items()))


@cache
def _form(named: tuple[tuple[str, type[Settings]], ...]) -> type[Settings]:
    fields: dict[str, Any] = {
        name: (section, Field(default_factory=dict, description=_described(name, section)))
        for name, section in named
    }
    return create_model("MeasureSections", __base__=Settings, **fields)


def with_sections(fields: Mapping[str, T], found: Mapping[str, T]) -> dict[str, T]:
    """The fields of the form, with those of these sections behind `measure`."""
    spot = list(fields).index("measure") + 1
    named = list(fields.items())
    return dict([*named[:spot], *found.items(), *named[spot:]])


def _described(name: str, section: type[Settings]) -> str:
    return (
        f"What `measure: {name}` is told, and other measures do not read. {inspect.getdoc(section)}"
    )


def validated_sections(values: Mapping[str, Any], measure: Any) -> dict[str, Settings]:
    """What stands under the names of measures in a spec, and what has to although it is not said.

    Raises `ValidationError` for what does not fit a section, and for names that no measure has.
    """
    form = section_form()
    unsaid = [
        name for name in form.model_fields if name == measure or registry.measures.is_built_in(name)
    ]
    found = form.model_validate({**{name: {} for name in unsaid}, **values})
    # In the order of the form: a set has another one in every process.
    written = [name for name in type(found).model_fields if name in found.model_fields_set]
    return {name: getattr(found, name) for name in written}
