"""Many reports as one page: what each holds, and a row for every case of all, with a filter."""

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
class Summary:
    """A report."""

    report: str
    link: str
    started: str
    experiments: str
    models: str
    cases: str
    gates: str


@dataclass(frozen=True)
class BrowsedCase:
    """A case of a report."""

    report: str
    link: str
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
    summaries: list[Summary] = []
    rows: list[BrowsedCase] = []
    problems: list[str] = []
    for file in found:
        try:
            report = load_report(file)
        except ReportError as error:
            problems.append(str(error))
            continue
        name, link = os.path.relpath(file.parent, results), _link(file.parent, results)
        summaries.append(_summary(report, name, link))
        rows += _rows(report, name, link)
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
            summaries=summaries,
            rows=rows,
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


def _link(folder: Path, results: Path) -> str:
    """To a report's own page; nothing where it has none."""
    page = folder / "index.html"
    return quote(os.path.relpath(page, results)) if page.is_file() else ""


def _summary(report: RunReport, name: str, link: str) -> Summary:
    complete = sum(case.status == "complete" for case in report.cases)
    held = sum(gate.holds for gate in report.gates)
    return Summary(
        name,
        link,
        f"{report.run.started:%Y-%m-%d %H:%M}",
        ", ".join(report.experiments),
        ", ".join(dict.fromkeys(case.model for case in report.cases)),
        f"{complete} of {len(report.cases)} complete",
        f"{held} of {len(report.gates)} hold" if report.gates else "",
    )


def _rows(report: RunReport, name: str, link: str) -> list[BrowsedCase]:
    return [
        _row(case, cases, name, link)
        for experiment in report.experiments
        for cases in [report.experiment(experiment)]
        for case in cases
    ]


def _row(case: CaseReport, cases: Sequence[CaseReport], name: str, link: str) -> BrowsedCase:
    versus = case.versus_baseline.get(case.metric)
    return BrowsedCase(
        name,
        link,
        case.experiment,
        case.model,
        case.task.name,
        label(case.params, varying(cases)) or ("baseline" if case.grid is None else ""),
        case.metric,
        interval(case.metrics[case.metric]) if case.metric in case.metrics else "",
        "" if versus is None else f"{versus.delta:+.2f}, p {versus.deciding_p:.2g}",
        case.status if case.error is None else f"{case.status}: {case.error}",
    )
