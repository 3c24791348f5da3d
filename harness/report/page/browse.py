"""Many reports as one page: a row for every case of all of them, with its link, and a filter."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from urllib.parse import quote

from markupsafe import Markup

from harness.errors import ReportError
from harness.files.atomic import write_file
from harness.report.labels import label, varying
from harness.report.load import load_report
from harness.report.page.html import hash_of, page_environment
from harness.report.report import CaseReport, RunReport
from harness.report.tables.case_columns import interval

PAGE = "browse.html"


@dataclass(frozen=True)
class Row:
    """A case of a report."""

    report: str
    link: str
    started: str
    experiment: str
    model: str
    task: str
    case: str
    metric: str
    value: str
    change: str
    status: str


def browse(results: Path) -> tuple[Path, int, list[str]]:
    """Write the page of every report below a folder into it.

    Returns:
        The page's path, the number of reports in it, and a line for each that cannot be read.

    Raises:
        ReportError: the folder has no report, or cannot be written.
    """
    found = sorted(results.rglob("report.json")) if results.is_dir() else []
    rows: list[Row] = []
    problems: list[str] = []
    for file in found:
        try:
            rows += _rows(load_report(file), file.parent, results)
        except ReportError as error:
            problems.append(str(error))
    if len(problems) == len(found):
        first = f", first {problems[0]}" if problems else ""
        raise ReportError(f"{results}: has no report that can be read below it{first}")
    folder = files("harness.report.page") / "assets"
    script = (folder / "browse/browse.js").read_text("utf-8")
    style = (folder / "page.css").read_text("utf-8")
    text = (
        page_environment()
        .get_template("browse/browse.html.jinja")
        .render(
            rows=rows,
            reports=len(found) - len(problems),
            problems=problems,
            script=Markup(script),  # noqa: S704 - the package's own
            style=Markup(style),  # noqa: S704 - the package's own
            script_hash=hash_of(script),
            style_hash=hash_of(style),
        )
    )
    target = results / PAGE
    try:
        write_file(target, text)
    except OSError as error:
        raise ReportError(
            f"{target}: cannot be written: {error.strerror or error}; copy the reports elsewhere"
        ) from error
    return target, len(found) - len(problems), problems


def _rows(report: RunReport, folder: Path, results: Path) -> list[Row]:
    page = folder / "index.html"
    link = quote(os.path.relpath(page, results)) if page.is_file() else ""
    name = os.path.relpath(folder, results)
    return [
        _row(case, cases, name, link, report)
        for experiment in report.experiments
        for cases in [report.experiment(experiment)]
        for case in cases
    ]


def _row(
    case: CaseReport, cases: Sequence[CaseReport], name: str, link: str, report: RunReport
) -> Row:
    versus = case.versus_baseline.get(case.metric)
    return Row(
        name,
        link,
        f"{report.run.started:%Y-%m-%d %H:%M}",
        case.experiment,
        case.model,
        case.task.name,
        label(case.params, varying(cases)) or ("baseline" if case.grid is None else ""),
        case.metric,
        interval(case.metrics[case.metric]) if case.metric in case.metrics else "",
        "" if versus is None else f"{versus.delta:+.2f}, p {versus.deciding_p:.2g}",
        case.status if case.error is None else f"{case.status}: {case.error}",
    )
