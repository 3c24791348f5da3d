"""A report in the formats of other tools: CSV, Parquet, LaTeX, and Inspect's logs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from harness.errors import ReportError
from harness.report.exports.inspect_logs import write_inspect
from harness.report.exports.latex import write_latex
from harness.report.exports.tables import write_csv, write_parquet
from harness.report.loaded import Report

FORMATS: Mapping[str, Callable[[Report, Path], list[Path]]] = {
    "csv": write_csv,
    "inspect": write_inspect,
    "latex": write_latex,
    "parquet": write_parquet,
}


def export(report: Report, form: str, output: Path | str) -> list[Path]:
    """Write a report in a format; returns the files, replaced where they were there before.

    csv and parquet write two tables, cases and samples, into the folder `output`; inspect writes
    one log per case into it; latex writes the one file `output`.

    Raises:
        ReportError: an unknown format, a library that is not installed, samples that are missing,
            or an output that cannot be written.
    """
    if form not in FORMATS:
        raise ReportError(f"format {form!r} is not known; use one of {', '.join(FORMATS)}")
    target = Path(output)
    try:
        return FORMATS[form](report, target)
    except OSError as error:
        raise ReportError(
            f"{target}: cannot be written: {error.strerror or error}; choose another output"
        ) from error


__all__ = ["FORMATS", "export"]
