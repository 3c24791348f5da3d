"""A report as researchers take it up: its cases and samples as pandas frames, its table as text."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from harness.files.given import is_folder
from harness.report import load
from harness.report.page_link import page_line
from harness.report.report import RunReport
from harness.report.tables.terminal import summary, table_html

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, repr=False)
class Report:
    """A report and the folder it lies in; it prints as the table of the terminal.

    >>> import harness
    >>> report = harness.load_report("reports/example")
    >>> report.cases["metrics.pass@1.value"].round(2).tolist()
    [0.97, 0.97, ...]
    >>> len(report.samples.query("not correct"))
    693
    """

    report: RunReport
    """The whole of report.json, as checked models."""
    directory: Path
    """Where it lies, with `samples.jsonl`, `cases.csv`, plots and the page."""
    unsafe_code: bool = False
    """Whether an export may run code of its task files."""

    def __repr__(self) -> str:
        """What is on the terminal at the end of a run, without its legend."""
        return f"{summary(self.report)}\n{page_line(self.directory, link=False)}"

    def _repr_html_(self) -> str:
        """The same for notebooks."""
        place = page_line(self.directory, link=False)
        return f"{table_html(self.report)}\n<p>{escape(place)}</p>"

    @cached_property
    def cases(self) -> pd.DataFrame:
        """One row per case; columns are named by their path in report.json (`RunReport.frame`)."""
        return self.report.frame()

    @cached_property
    def samples(self) -> pd.DataFrame:
        """One row per case, sample and draw, as samples.jsonl has them: read when asked for.

        Raises `ReportError` when the file is missing or a line of it is not JSON.
        """
        return load.samples(self.directory)

    @cached_property
    def invariants(self) -> pd.DataFrame:
        """One row per identity that the run checked."""
        import pandas as pd

        rows = [check.model_dump(mode="json") for check in self.report.invariants]
        return pd.json_normalize(rows) if rows else pd.DataFrame(columns=["name", "case", "holds"])


def load_report(path: Path | str) -> Report:
    """Take up a report by its directory, or by the report.json in it.

    >>> import harness
    >>> harness.load_report("reports/example").report.experiments
    ('keep_topk',)

    Args:
        path: A folder that a run has written, or its report.json.

    Raises:
        ReportError: it is missing, no JSON, of another schema, or does not fit the schema.
    """
    given = Path(path)
    report = load.load_report(given)
    return Report(report, given if is_folder(given) else given.parent)
