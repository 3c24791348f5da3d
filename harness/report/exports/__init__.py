"""A report in the formats of other tools: CSV, Parquet, LaTeX, Inspect's logs, and registered ones.

A format is an entry of `harness.registry.exports`: a function of a report and an output that writes
and returns its files.
"""

from __future__ import annotations

from pathlib import Path

from harness import registry
from harness.errors import RegistryError, ReportError
from harness.report.loaded import Report


def export(report: Report, form: str, output: Path | str) -> list[Path]:
    """Write a report in a format; returns the files, replaced where they were there before.

    csv and parquet write two tables, cases and samples, into the folder `output`; inspect writes
    one log per case into it; latex writes the one file `output`.

    Raises:
        ReportError: an unknown format, a library that is not installed, samples that are missing,
            or an output that cannot be written.
    """
    try:
        write = registry.exports.get(form)
    except RegistryError as error:
        raise ReportError(str(error)) from error
    target = Path(output)
    try:
        return write(report, target)
    except OSError as error:
        raise ReportError(
            f"{target}: cannot be written: {error.strerror or error}; choose another output"
        ) from error


__all__ = ["export"]
