"""Reads a task's records from JSON lines or Parquet and says exactly what is wrong with one."""

from __future__ import annotations

import gzip
import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from harness.errors import TaskError


def read_records(path: str | Path, fields: tuple[str, ...]) -> list[dict[str, Any]]:
    """Every record of a .jsonl, .jsonl.gz or .parquet file; each must hold text in all `fields`."""
    file = Path(path).expanduser()
    if file.suffix == ".parquet":
        return _parquet(file, fields)
    try:
        content = file.read_bytes()
        text = (gzip.decompress(content) if file.suffix == ".gz" else content).decode()
    except (OSError, EOFError, UnicodeDecodeError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or error
        raise TaskError(f"{path}: cannot be read ({why}); expected {_expected(fields)}") from error
    records = [
        _record(f"{path}:{number}", line, fields)
        # Not `splitlines`: JSON may hold other line separators inside its strings.
        for number, line in enumerate(text.split("\n"), start=1)
        if line.strip()
    ]
    if not records:
        raise TaskError(f"{path}: holds no record; expected {_expected(fields)}")
    return records


def _record(place: str, line: str, fields: tuple[str, ...]) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        raise TaskError(f"{place}: is not JSON ({error}); expected {_expected(fields)}") from error
    return _checked(place, record, fields)


def _checked(place: str, record: Any, fields: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(record, dict):
        raise TaskError(f"{place}: is not a JSON object; expected {_expected(fields)}")
    wrong = [name for name in fields if not isinstance(record.get(name), str)]
    if wrong:
        found = ", ".join(record) or "no field"
        raise TaskError(
            f"{place}: no text in {', '.join(wrong)} (found {found}); expected {_expected(fields)}"
        )
    return record


def _parquet(file: Path, fields: tuple[str, ...]) -> list[dict[str, Any]]:
    if find_spec("pyarrow") is None:
        raise TaskError(
            f"{file}: reading Parquet needs pyarrow; pip install 'pytest-titrate[parquet]', or "
            "give the same records as JSON lines"
        )
    from pyarrow import ArrowException
    from pyarrow.parquet import read_table

    try:
        rows = read_table(file).to_pylist()
    except (OSError, ArrowException) as error:
        first = (error.strerror if isinstance(error, OSError) else None) or str(error)
        first = first.splitlines()[0]
        raise TaskError(f"{file}: cannot be read ({first}); expected a Parquet file") from error
    if not rows:
        raise TaskError(f"{file}: holds no record; expected columns {', '.join(fields)}")
    return [_checked(f"{file} row {at}", row, fields) for at, row in enumerate(rows, start=1)]


def _expected(fields: tuple[str, ...]) -> str:
    return f"one JSON object a line with {', '.join(fields)}"
