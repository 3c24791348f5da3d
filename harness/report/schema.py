"""The JSON Schema of report.json, and the check that every written and loaded report passes.

The schema is generated from the models and published with the package as `report.schema.json`;
`json_schema()` is what that file must hold. Documents are checked by the models themselves, which
say the same and more: a JSON Schema does not know whether a text is a date.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from json.encoder import encode_basestring
from typing import Any

from pydantic import ValidationError

from harness.errors import ReportError
from harness.report.report import SCHEMA_VERSION, RunReport

_LONGEST = 100
#: Cases that are checked at a time.
_PORTION = 500
#: Where cases stand in a report without any.
_NO_CASES = '\n "cases": []'


def json_schema() -> str:
    """The text of `report.schema.json`, as the models in this version say it."""
    schema = RunReport.model_json_schema(mode="serialization", by_alias=True)
    document = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def report_of(document: Any, place: str = "report") -> RunReport:
    """The report that a parsed report.json is.

    Args:
        document: What `json.load` returned, or what is about to be written.
        place: Where it is, for the message; usually a path.

    Raises:
        ReportError: another schema version, a part that does not fit (the first one is named by
            its path), or a number that JSON cannot hold.
    """
    if not isinstance(document, Mapping):
        raise ReportError(f"{place}: not a report; expected an object with a key 'schema'")
    version = document.get("schema")
    if version != SCHEMA_VERSION:
        raise ReportError(
            f"{place}: schema {version!r} cannot be read; this version reads {SCHEMA_VERSION}"
        )
    try:
        text = json.dumps(document, allow_nan=False)
    except ValueError as error:
        raise ReportError(
            f"{place}: holds NaN or infinity, which JSON cannot; only finite numbers are reported"
        ) from error
    try:
        # From text, because only there strict types allow a list to be a tuple.
        return RunReport.model_validate_json(text, strict=True)
    except ValidationError as error:
        raise ReportError(f"{place}: {_first(error)}") from error


def check_report(report: RunReport, place: str) -> None:
    """Raise `ReportError` unless a report that is about to be written passes as one that was read.

    Its cases are looked at in portions, so that a large report is not in memory several times.
    """
    try:
        for start in range(0, max(len(report.cases), 1), _PORTION):
            cases = report.cases[start : start + _PORTION]
            whole = report if start == 0 else RunReport.model_construct(run=report.run)
            part = whole.model_copy(update={"cases": cases})
            report_of(part.model_dump(mode="json"), place)
    except ReportError:
        report_of(report.model_dump(mode="json"), place)  # which says where in the whole
        raise


def document_of(report: RunReport) -> Iterator[str]:
    """The text of report.json in pieces, a case in memory at a time."""
    empty = report.model_copy(update={"cases": ()})
    head, tail = _text(empty.model_dump(mode="json")).split(_NO_CASES)  # once, at this indentation
    between = "["
    yield head + _NO_CASES.removesuffix("[]")
    for case in report.cases:
        yield between + "\n  " + _text(case.model_dump(mode="json"), "\n  ")
        between = ","
    yield ("\n ]" if report.cases else "[]") + tail + "\n"


def _text(value: Any, indent: str = "\n") -> str:
    """As `json.dumps(value, indent=1)` writes it, which is Python, too, and takes twice as long."""
    if isinstance(value, str):
        return encode_basestring(value)
    if isinstance(value, float) and math.isfinite(value):
        return float.__repr__(value)
    if value and isinstance(value, dict | list):
        deeper = indent + " "
        if isinstance(value, list):
            return f"[{deeper}{f',{deeper}'.join([_text(each, deeper) for each in value])}{indent}]"
        parts = [f"{encode_basestring(name)}: {_text(value[name], deeper)}" for name in value]
        return f"{{{deeper}{f',{deeper}'.join(parts)}{indent}}}"
    return json.dumps(value, allow_nan=False)


def _first(error: ValidationError) -> str:
    """The first part that does not fit, in one line: its path, its value and what is expected."""
    found = error.errors()[0]
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in found["loc"])
    value = (
        "" if found["type"] == "missing" else f" {found['input']!r:.{_LONGEST}} is not accepted;"
    )
    message = " ".join(found["msg"].split())
    return f"{where.removeprefix('.')}:{value} {message[:1].lower()}{message[1:]}"
