"""A report in a notebook: the tables of the terminal as HTML, nothing of them markup of a model."""

from __future__ import annotations

from html import escape

import pandas as pd

from harness.report.report import RunReport
from harness.report.subject import subject
from harness.report.tables.case_columns import case_columns


def html(report: RunReport) -> str:
    """A heading and a table for each experiment."""
    parts = []
    for name in report.experiments:
        heading = f"<p><b>{escape(name)}</b> {escape(', '.join(subject(report, name)))}</p>"
        # Rows rather than a mapping: two columns may have one title.
        columns = case_columns(report, name)
        frame = pd.DataFrame(
            zip(*(map(str, column.cells) for column in columns), strict=True),
            columns=[column.title for column in columns],
        )
        parts.append(heading + frame.to_html(index=False, border=0))
    return "\n".join(parts) or f"<p>{escape(repr(report))}</p>"
