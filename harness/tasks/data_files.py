"""Reads a task's records from JSON lines or Parquet and says exactly what is wrong with one."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeAlias

from harness.errors import TaskError
from harness.files.given import check_file, parsed, text

#: What a task finds wrong with a record whose fields are there; None where it is fine.
RecordCheck: TypeAlias = Callable[[Mapping[str, Any]], str | None]


def read_records(
    path: str | Path, fields: tuple[str, ...], *, check: RecordCheck | None = None, unique: str = ""
) -> list[dict[str, Any]]:
    """Every record of a .jsonl, .jsonl.gz or .parquet file; each must hold text in all `fields`.

    No two records may have the same text in the field `unique`, which names them.

    Raises:
        TaskError: naming the line (of Parquet, the row), also for what `check` says of a record.
    """
    file = Path(path).expanduser()
    lines = _rows if file.suffix == ".parquet" else _lines
    records: dict[str, dict[str, Any]] = {}
    first: dict[str, str] = {}
    for place, record in lines(file, path, fields):
        records[place] = _checked(place, record, fields)
        if check is not None and (problem := check(record)) is not None:
            raise TaskError(f"{place}: {problem}")
        if unique and (same := first.setdefault(record[unique], place)) != place:
            raise TaskError(
                f"{place}: its {unique} {record[unique]!r} is that of {same}; "
                "give every record one of its own"
            )
    if not records:
        raise TaskError(f"{path}: holds no record; expected {_expected(fields)}")
    return list(records.values())


def _lines(file: Path, path: str | Path, fields: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    try:
        content = text(file)
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or error
        raise TaskError(f"{path}: cannot be read ({why}); expected {_expected(fields)}") from error
    # Not `splitlines`: JSON may hold other line separators inside its strings.
    for number, line in enumerate(content.split("\n"), start=1):
        if line.strip():
            place = f"{path}:{number}"
            try:
                record = parsed(line)
            except ValueError as error:
                raise TaskError(
                    f"{place}: is not JSON ({error}); expected {_expected(fields)}"
                ) from error
            yield place, record


def _checked(place: str, record: Any, fields: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(record, dict):
        raise TaskError(f"{place}: is not a JSON object; expected {_expected(fields)}")
    wrong = [name for name in fields if not isinstance(record.get(name), str)]
    if wrong:
        found = ", ".join(list(record)[:12]) or "no field"
        raise TaskError(
            f"{place}: no text in {', '.join(wrong)} (found {found}); expected {_expected(fields)}"
        )
    return record


def _rows(file: Path, path: str | Path, fields: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    if find_spec("pyarrow") is None:
        raise TaskError(
            f"{path}: reading Parquet needs pyarrow; pip install 'pytest-titrate[parquet]', or "
            "give the same records as JSON lines"
        )
    from pyarrow import ArrowException
    from pyarrow.parquet import read_table

    try:
        check_file(file)
        rows = read_table(file).to_pylist()
    except (OSError, ArrowException) as error:
        first = (error.strerror if isinstance(error, OSError) else None) or str(error)
        first = first.splitlines()[0]
        raise TaskError(f"{path}: cannot be read ({first}); expected a Parquet file") from error
    if not rows:
        raise TaskError(f"{path}: holds no record; expected columns {', '.join(fields)}")
    for number, row in enumerate(rows, start=1):
        yield f"{path} row {number}", row


def _expected(fields: tuple[str, ...]) -> str:
    return f"one JSON object a line with {', '.join(fields)}"
