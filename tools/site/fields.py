"""The page of a spec's fields, from the JSON Schema that `titrate schema experiment` prints."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from harness.spec.schema import experiment_schema

Schema = Mapping[str, Any]

_INTRODUCTION = (
    "Every field with what it takes, what it is where it is left out, and what it does. "
    "Editors complete and check specs by the same schema (`titrate schema experiment`)."
)


def page() -> str:
    """A section for each group of fields, in the order in which a spec has them."""
    schema = experiment_schema()
    sections = schema["$defs"]
    told = ["# Fields of a spec", "", _INTRODUCTION, ""]
    told += _table("A spec", schema, sections)
    seen: set[str] = set()
    waiting = list(_named(schema["properties"]))
    while waiting:
        path, name = waiting.pop(0)
        if name in seen:
            continue
        seen.add(name)
        section = sections[name]
        if "properties" in section:
            told += _table(path, section, sections)
            waiting = [
                (f"{path.partition(' (')[0]}.{field}", each)
                for field, each in _named(section["properties"])
            ] + waiting
    return "\n".join(told)


def _named(properties: Schema) -> Iterator[tuple[str, str]]:
    """The sections that fields refer to, each with the field that holds it."""
    for field, schema in properties.items():
        for reference in _references(schema):
            yield field, reference


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, Mapping):
        if "$ref" in schema:
            yield schema["$ref"].rpartition("/")[2]
        for key, each in schema.items():
            if key != "mapping":
                yield from _references(each)
    elif isinstance(schema, list):
        for each in schema:
            yield from _references(each)


def _table(title: str, section: Schema, sections: Mapping[str, Schema]) -> list[str]:
    """A heading, what the group is, and a row for each of its fields."""
    kind = section["properties"].get("kind", section["properties"].get("name", {})).get("const")
    heading = f"## {title}" + (f": {kind}" if kind else "")
    rows = [
        f"| `{field}` | {_taken(schema, sections)} | {_default(field, schema, section)} "
        f"| {_cell(schema.get('description', ''))} |"
        for field, schema in section["properties"].items()
    ]
    return [
        heading,
        "",
        section.get("description", ""),
        "",
        "| field | takes | default | what it does |",
        "| --- | --- | --- | --- |",
        *rows,
        "",
    ]


def _default(field: str, schema: Schema, section: Schema) -> str:
    if field in section.get("required", ()):
        return "*required*"
    default = schema.get("default")
    return "" if isinstance(default, dict) and default else f"`{json.dumps(default)}`"


def _taken(schema: Schema, sections: Mapping[str, Schema]) -> str:
    """What a field takes, in a few words."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return "section" if "properties" in sections[name] else _taken(sections[name], sections)
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return ", ".join(f"`{each}`" for each in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_taken(each, sections) for each in schema["anyOf"]))
    kind = str(schema.get("type", "any value"))
    if kind == "array":
        return f"list of {_taken(schema.get('items', {}), sections)}"
    return {"object": "mapping", "null": "nothing"}.get(kind, kind) + _bounds(schema)


def _bounds(schema: Schema) -> str:
    signs = {
        "minimum": "≥",
        "exclusiveMinimum": ">",
        "maximum": "≤",
        "exclusiveMaximum": "<",
    }
    found = [f"{sign} {schema[key]}" for key, sign in signs.items() if key in schema]
    return f" {' and '.join(found)}" if found else ""


def _cell(text: str) -> str:
    return escape(text, quote=False).replace("|", "\\|").replace("\n", " ")
