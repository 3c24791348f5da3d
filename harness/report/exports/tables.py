"""Cases and samples as two tables of plain columns, in CSV or Parquet."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import ReportError
from harness.files.atomic import replace_file
from harness.report.load import sample_records
from harness.report.loaded import Report

if TYPE_CHECKING:
    import pandas as pd

#: Samples of which a part of a Parquet file is made.
_ROWS = 1000


def write_csv(report: Report, folder: Path) -> list[Path]:
    """`cases.csv` and `samples.csv`: UTF-8, one header line, empty where there is no value."""
    return [
        _written(frame, folder, f"{name}.csv", "to_csv", index=False, lineterminator="\n")
        for name, frame in _tables(report)
    ]


def write_parquet(report: Report, folder: Path) -> list[Path]:
    """`cases.parquet` and `samples.parquet`; a column whose values differ in type is JSON text."""
    if find_spec("pyarrow") is None:
        raise ReportError("parquet needs pyarrow; pip install 'pytest-titrate[parquet]'")
    cases = _written(_uniform(report.cases), folder, "cases.parquet", "to_parquet", index=False)
    return [cases, _samples_parquet(report.directory, folder / "samples.parquet")]


def _samples_parquet(source: Path, target: Path) -> Path:
    """The samples in parts: memory does not grow with their number, nor with their logs.

    They are read twice, because a column's type is known when all of its values have been seen.
    """
    import pyarrow as pa
    from pyarrow import parquet

    kinds: dict[str, set[type]] = {}
    for record in sample_records(source):
        for name, value in record.items():
            own = kinds.setdefault(name, set())
            if value is not None:
                own.add(type(value))
    as_text = {name for name, own in kinds.items() if len(own) > 1}
    empty = pa.schema([])
    for part in _parts(source, as_text, [*kinds]):
        empty = pa.unify_schemas([empty, part.schema], promote_options="permissive")
    with replace_file(target) as place, parquet.ParquetWriter(place, empty) as writer:
        for part in _parts(source, as_text, [*kinds]):
            writer.write_table(pa.Table.from_pylist(part.to_pylist(), schema=empty))
    return target


def _parts(source: Path, as_text: set[str], names: list[str]) -> Iterator[Any]:
    """Tables of so many samples; values of columns that mix types are JSON text."""
    import pyarrow as pa

    records = sample_records(source)
    while rows := list(islice(records, _ROWS)):
        yield pa.Table.from_pylist(
            [
                {
                    name: json.dumps(row[name], ensure_ascii=False)
                    if name in as_text and row.get(name) is not None
                    else row.get(name)
                    for name in names
                }
                for row in rows
            ]
        )


def _tables(report: Report) -> list[tuple[str, pd.DataFrame]]:
    return [("cases", report.cases), ("samples", report.samples)]


def _written(frame: pd.DataFrame, folder: Path, name: str, method: str, **options: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    getattr(frame, method)(folder / name, **options)
    return folder / name


def _uniform(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with every column of one type, as Parquet wants it."""
    import pandas as pd

    frame = frame.copy()
    for name in frame.columns:
        kinds = {type(value) for value in frame[name].dropna()}
        if pd.api.types.is_object_dtype(frame[name]) and len(kinds) > 1:
            frame[name] = frame[name].map(
                lambda value: None if value is None else json.dumps(value, ensure_ascii=False)
            )
    return frame
