"""Reads a task's records from JSON, JSON lines, CSV or Parquet and says what is wrong with one."""

from __future__ import annotations

import csv
import io
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from harness.errors import TaskError
from harness.files.given import MOST_BYTES, check_file, parsed, text
from harness.spec.document import shown

csv.field_size_limit(MOST_BYTES)  # a cell may hold a document; the library's limit is 128 KiB

_T = TypeVar("_T")
_MOST_NAMED = 6

#: What a task finds wrong with a record whose fields are there; None where it is fine.
RecordCheck: TypeAlias = Callable[[Mapping[str, Any]], str | None]


def read_records(
    path: str | Path, fields: tuple[str, ...], *, check: RecordCheck | None = None, unique: str = ""
) -> list[dict[str, Any]]:
    """Every record of a .jsonl, .jsonl.gz, .json, .csv or .parquet file, with text in all `fields`.

    No two records may have the same text in the field `unique`, which names them.

    Raises:
        TaskError: naming the lines (of Parquet, the rows), also for what `check` says of a record.
    """
    first: dict[str, str] = {}

    def usable(place: str, record: dict[str, Any]) -> dict[str, Any]:
        _check_texts(place, record, fields)
        if check is not None and (problem := check(record)) is not None:
            raise TaskError(f"{place}: {problem}")
        if unique and (same := first.setdefault(record[unique], place)) != place:
            raise TaskError(
                f"{place}: its {unique} {record[unique]!r} is that of {same}; "
                "give every record one of its own"
            )
        return record

    return each_of(rows_of(path, ", ".join(fields)), usable)


def each_of(rows: Iterable[tuple[str, Any]], use: Callable[[str, dict[str, Any]], _T]) -> list[_T]:
    """What `use` makes of every record, given its place.

    Raises:
        TaskError: what is wrong with the first record that is, and where the other wrong ones are.
    """
    made: list[_T] = []
    wrong: dict[str, TaskError] = {}
    for place, record in rows:
        try:
            if isinstance(record, TaskError):
                raise record
            made.append(use(place, record))
        except TaskError as error:
            wrong[place] = error
    if wrong:
        first, *others = wrong
        raise TaskError(f"{wrong[first]}{_also(others)}") from wrong[first]
    return made


def _also(places: list[str]) -> str:
    """The other wrong records: `; wrong, too: lines 3 and 7`."""
    if not places:
        return ""
    numbers = [re.findall(r"\d+", place)[-1] for place in places]
    kind = "line" if places[0].endswith(f":{numbers[0]}") else "record"
    named, more = ", ".join(numbers[:_MOST_NAMED]), len(numbers) - _MOST_NAMED
    rest = f" and {more:,} more" if more > 0 else ""
    return f"; wrong, too: {kind}{'s'[: len(numbers) - 1]} {named}{rest}"


def rows_of(path: str | Path, expected: str) -> Iterator[tuple[str, dict[str, Any] | TaskError]]:
    """Every record of such a file, with its place: `prompts.jsonl:3`, `prompts.parquet row 3`.

    Cells of CSV are texts. `expected` says in words which fields there should be. In place of a
    record that is none stands the error that says why.

    Raises:
        TaskError: the file cannot be read, or holds no record.
    """
    file = Path(path).expanduser()
    path = shown(file)
    read = {".parquet": _parquet, ".csv": _csv, ".json": _list}.get(file.suffix, _lines)
    nothing = True
    for place, record in read(file, path, expected):
        nothing = False
        if isinstance(record, dict | TaskError):
            yield place, record
        else:
            problem = f"{place}: is not a JSON object; expected {_objects(expected)}"
            yield place, TaskError(problem)
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
                problem = f"{place}: is not JSON ({error}); expected {_objects(expected)}"
                record = TaskError(problem)
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
                yield (
                    place,
                    TaskError(
                        f"{place}: has {len(cells)} cells, and the first line names {len(names)} "
                        "columns; put cells that hold commas in double quotes"
                    ),
                )
            elif cells:
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


def _check_texts(place: str, record: dict[str, Any], fields: tuple[str, ...]) -> None:
    wrong = [name for name in fields if not isinstance(record.get(name), str)]
    if wrong:
        found = ", ".join(list(record)[:12]) or "no field"
        raise TaskError(
            f"{place}: no text in {', '.join(wrong)} (found {found}); "
            f"expected {_objects(', '.join(fields))}"
        )


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
