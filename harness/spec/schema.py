"""The JSON Schema of a spec file, which editors complete and check against."""

from __future__ import annotations

from typing import Any

from harness.spec.experiment import Experiment

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def experiment_schema() -> dict[str, Any]:
    """The form as JSON Schema, with `extends`; the same text for the same form.

    A file may inherit any key, so a key is required only where a file extends nothing, and only
    at the top: what is missing further down is found when the spec is loaded.
    """
    schema = Experiment.model_json_schema()
    # What follows the first line of its docstring is for readers of Python.
    schema["description"] = schema["description"].partition("\n")[0]
    required = schema["required"]
    schema = _optional(schema)
    extends = {
        "description": "Another spec file, relative to this one, whose values this one inherits.",
        "title": "Extends",
        "type": "string",
    }
    return {
        "$schema": DIALECT,
        **schema,
        "properties": {"extends": extends, **schema["properties"]},
        "anyOf": [{"required": ["extends"]}, {"required": required}],
    }


def _optional(node: Any) -> Any:
    """A schema in which no key is required, so that several variants of a union may fit.

    Descriptions lose their line breaks, which are those of the code.
    """
    if isinstance(node, list):
        return [_optional(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        {"oneOf": "anyOf"}.get(key, key): (
            " ".join(value.split())
            if key == "description" and isinstance(value, str)
            else _optional(value)
        )
        for key, value in node.items()
        if not (key == "required" and isinstance(value, list))
    }
