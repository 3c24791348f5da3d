"""Nested mappings laid over each other: how a spec inherits, and how one dotted field is set."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from harness.spec.variants import variant


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `over` laid on top: sections merge, everything else is replaced.

    A section that fills in another variant of a union (`points: {random: 0}` over `{usage: ...}`)
    replaces the inherited one, whose keys would mean nothing in it.
    """
    merged = dict(base)
    for key, value in over.items():
        below = base.get(key)
        if isinstance(below, Mapping) and isinstance(value, Mapping) and not _differ(below, value):
            merged[key] = merge(below, value)
        else:
            merged[key] = value
    return merged


def put(values: Mapping[str, Any], field: str, value: Any) -> dict[str, Any]:
    """`values` with one dotted field set to exactly `value`, whatever it was before."""
    section, _, rest = field.partition(".")
    if not rest:
        return {**values, section: value}
    if section == "axes":  # an axis is named by a dotted field, which is one key
        return {**values, section: {**_section(values, section), rest: value}}
    inner = _section(values, section)
    if _differ(inner, {rest.partition(".")[0]: value}):
        inner = {}
    return {**values, section: put(inner, rest, value)}


def get(values: Mapping[str, Any], field: str) -> Any:
    """The value of a dotted field, None where it or a section around it is missing."""
    found: Any = values
    for part in field.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def changed(values: Any, field: str, change: Callable[[str], str]) -> Any:
    """`values` with the text at a dotted field changed, in every entry of a list on the way.

    A list at the field itself is left as it is: it is not a text.
    """
    if not field:
        return change(values) if isinstance(values, str) else values
    if isinstance(values, list):
        return [changed(each, field, change) for each in values]
    section, _, rest = field.partition(".")
    if not isinstance(values, Mapping) or section not in values:
        return values
    return {**values, section: changed(values[section], rest, change)}


def fields(value: Any, name: str = "") -> Iterator[str]:
    """The dotted names of a value and of everything in it."""
    yield name
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from fields(item, f"{name}.{key}" if name else key)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from fields(item, f"{name}[{index}]")


def _section(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    section = values.get(name)
    return section if isinstance(section, Mapping) else {}


def _differ(below: Mapping[str, Any], over: Mapping[str, Any]) -> bool:
    chosen = variant(over)
    return chosen not in {None, *below} and variant(below) not in {None, chosen}
