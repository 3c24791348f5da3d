"""Reads a task's records from JSON, JSON lines, CSV or Parquet and says what is wrong with one."""

from __future__ import annotations

import csv
import io
import zlib
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeAlias

from harness.errors import TaskError
from harness.files.given import MOST_BYTES, check_file, parsed, text
from harness.spec.document import shown

csv.field_size_limit(MOST_BYTES)  # a cell may hold a document; the library's limit is 128 KiB

#: What a task finds wrong with a record whose fields are there; None where it is fine.
RecordCheck: TypeAlias = Callable[[Mapping[str, Any]], str | None]


def read_records(
    path: str | Path, fields: tuple[str, ...], *, check: RecordCheck | None = None, unique: str = ""
) -> list[dict[str, Any]]:
    """Every record of a .jsonl, .jsonl.gz, .json, .csv or .parquet file, with text in all `fields`.

    No two records may have the same text in the field `unique`, which names them.

    Raises:
        TaskError: naming the line (of Parquet, the row), also for what `check` says of a record.
    """
    records: dict[str, dict[str, Any]] = {}
    first: dict[str, str] = {}
    for place, record in rows_of(path, ", ".join(fields)):
        records[place] = _checked(place, record, fields)
        if check is not None and (problem := check(record)) is not None:
            raise TaskError(f"{place}: {problem}")
        if unique and (same := first.setdefault(record[unique], place)) != place:
            raise TaskError(
                f"{place}: its {unique} {record[unique]!r} is that of {same}; "
                "give every record one of its own"
            )
    return list(records.values())


def rows_of(path: str | Path, expected: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every record of such a file, with its place: `prompts.jsonl:3`, `prompts.parquet row 3`.

    Cells of CSV are texts. `expected` says in words which fields there should be.

    Raises:
        TaskError: the file cannot be read, holds no record, or one that is not a mapping.
    """
    file = Path(path).expanduser()
    path = shown(file)
    read = {".parquet": _parquet, ".csv": _csv, ".json": _list}.get(file.suffix, _lines)
    nothing = True
    for place, record in read(file, path, expected):
        if not isinstance(record, dict):
            raise TaskError(f"{place}: is not a JSON object; expected {_objects(expected)}")
        nothing = False
        yield place, record
    if nothing:
        columns = f"columns {expected}" if read is not _lines else _objects(expected)
        raise TaskError(f"{path}: holds no record; expected {columns}")


def _lines(file: Path, path: str | Path, expected: str) -> Iterator[tuple[str, Any]]:
    # Not `splitlines`: JSON may hold other line separators inside its strings.
    for number, line in enumerate(_text(file, path, _objects(expected)).split("\n"), start=1):
        if line.strip():
            place = f"{path}:{number}"
            try:
                record = parsed(line)
            except ValueError as error:
                raise TaskError(
                    f"{place}: is not JSON ({error}); expected {_objects(expected)}"
                ) from error
            yield place, record


def _list(file: Path, path: str | Path, expected: str) -> Iterator[tuple[str, Any]]:
    try:
        records = parsed(_text(file, path, f"a JSON list of objects with {expected}"))
    except ValueError as error:
        raise TaskError(f"{path}: is not JSON ({error})") from error
    if not isinstance(records, list):
        raise TaskError(f"{path}: is not a JSON list; expected objects with {expected}")
    for number, record in enumerate(records, start=1):
        yield f"{path} record {number}", record


def _csv(file: Path, path: str | Path, expected: str) -> Iterator[tuple[str, Any]]:
    reader = csv.reader(
        io.StringIO(_text(file, path, f"columns {expected}"), newline=""), strict=True
    )
    line = 1
    try:
        names = next(reader, [])
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise TaskError(f"{path}:1: has two columns {twice!r}; rename one")
        line = reader.line_num + 1
        for cells in reader:
            place = f"{path}:{line}"
            if cells and len(cells) != len(names):
                raise TaskError(
                    f"{place}: has {len(cells)} cells, and the first line names {len(names)} "
                    "columns; put cells that hold commas in double quotes"
                )
            if cells:
                yield place, dict(zip(names, cells, strict=True))
            line = reader.line_num + 1
    except csv.Error as error:
        raise TaskError(f"{path}:{line}: is not CSV ({error})") from error


def _text(file: Path, path: str | Path, expected: str) -> str:
    try:
        return text(file)
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or error
        raise TaskError(f"{path}: cannot be read ({why}); expected {expected}") from error


def _checked(place: str, record: dict[str, Any], fields: tuple[str, ...]) -> dict[str, Any]:
    wrong = [name for name in fields if not isinstance(record.get(name), str)]
    if wrong:
        found = ", ".join(list(record)[:12]) or "no field"
        raise TaskError(
            f"{place}: no text in {', '.join(wrong)} (found {found}); "
            f"expected {_objects(', '.join(fields))}"
        )
    return record


def _parquet(file: Path, path: str | Path, expected: str) -> Iterator[tuple[str, Any]]:
    del expected
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
    for number, row in enumerate(rows, start=1):
        yield f"{path} row {number}", row


def _objects(expected: str) -> str:
    return f"one JSON object a line with {expected}"
