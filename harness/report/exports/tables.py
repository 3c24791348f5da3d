"""Cases and samples as two tables of plain columns, in CSV or Parquet."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import ReportError
from harness.report.loaded import Report

if TYPE_CHECKING:
    import pandas as pd


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
    return [
        _written(_uniform(frame), folder, f"{name}.parquet", "to_parquet", index=False)
        for name, frame in _tables(report)
    ]


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
