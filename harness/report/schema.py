"""The JSON Schema of report.json, and the check that every written and loaded report passes.

The schema is generated from the models and published with the package as `report.schema.json`;
`json_schema()` is what that file must hold.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

import jsonschema

from harness.errors import ReportError
from harness.report.report import SCHEMA_VERSION, Report

_LONGEST = 200


def json_schema() -> str:
    """The text of `report.schema.json`, as the models in this version say it."""
    schema = Report.model_json_schema(mode="serialization", by_alias=True)
    document = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def validate(document: Any, place: str = "report") -> None:
    """Check a parsed report.json against the published schema.

    Args:
        document: What `json.load` returned, or what is about to be written.
        place: Where it is, for the message; usually a path.

    Raises:
        ReportError: another schema version, a part that does not fit (the most relevant one is
            named by its path), or a number that JSON cannot hold.
    """
    if not isinstance(document, Mapping):
        raise ReportError(f"{place}: not a report; expected an object with a key 'schema'")
    version = document.get("schema")
    if version != SCHEMA_VERSION:
        raise ReportError(
            f"{place}: schema {version!r} cannot be read; this version reads {SCHEMA_VERSION}"
        )
    error = jsonschema.exceptions.best_match(_validator().iter_errors(document))
    if error is not None:
        where = error.json_path.removeprefix("$").removeprefix(".") or "report"
        raise ReportError(f"{place}: {where}: {_one_line(error.message)}")
    try:
        json.dumps(document, allow_nan=False)
    except ValueError as problem:
        raise ReportError(
            f"{place}: holds NaN or infinity, which JSON cannot; only finite numbers are reported"
        ) from problem


@cache
def _validator() -> jsonschema.Draft202012Validator:
    text = resources.files(__package__).joinpath("report.schema.json").read_text("utf-8")
    return jsonschema.Draft202012Validator(json.loads(text))


def _one_line(message: str) -> str:
    line = " ".join(message.split())
    return (
        line if len(line) <= _LONGEST else f"{line[: _LONGEST // 2]} ... {line[-_LONGEST // 2 :]}"
    )
