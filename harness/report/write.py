"""A report into a directory: records, samples, tables, plots/*.png, index.html, then report.json.

Each file is written beside its place and renamed into it, so none is ever torn, and a run that is
interrupted here leaves each file either as it was or new.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from harness.errors import ReportError
from harness.files import atomic
from harness.files.atomic import replace_file, write_file, write_pieces
from harness.files.given import is_folder
from harness.files.project import project
from harness.processes.beside import shared
from harness.report.draws.sections import draw_sections, section_files
from harness.report.figures.attention_maps import attention_images
from harness.report.figures.plots import plots
from harness.report.figures.traces import trace_images
from harness.report.load import RECORDS, SAMPLES, load_report, sample_records
from harness.report.measured_files import folders, measured_figures, measured_files, overviews
from harness.report.page import page
from harness.report.page.samples import SampleRows
from harness.report.page.sections import markup
from harness.report.recorded import recorded_results
from harness.report.report import RunReport
from harness.report.schema import check_report, document_of
from harness.report.section import Section
from harness.report.tables.study_table import summary_files
from harness.report.tables.terminal import table
from harness.report.written_samples import WrittenSamples, records, unwritable
from harness.store.recorded import RecordReader
from harness.store.results import CaseResult

# What a report's directory may hold; a write that was interrupted leaves some of it.
_OWN = {"cases.csv", SAMPLES, RECORDS, "plots", "report.json", "index.html"}
_OWN |= {"paired", "search", "draws"}


def write(
    report: RunReport,
    results: Sequence[CaseResult],
    directory: Path | str,
    *,
    begun: WrittenSamples | None = None,
    shown: Callable[[str], object] | None = None,
    forked: bool = False,
) -> Path:
    """Write a report and the samples behind it; existing files of the same names are replaced.

    Args:
        report: The report.
        results: What it was made of.
        directory: Where to.
        begun: The samples, where their writing has begun before the report was made.
        shown: Is given the report's table as text, which takes seconds to lay out, too.
        forked: Whether copies of this process may write beside it (`processes/beside.py`).

    Returns:
        The path of report.json.

    Raises:
        ReportError: the report does not fit its schema (nothing is written then), or the directory
            is a file or cannot be written.
    """
    folder = Path(directory)
    target = folder / "report.json"
    check_report(report, str(target))
    opened = WrittenSamples(results, folder, forked=forked) if begun is None else nullcontext(begun)
    try:
        with (
            opened as written,
            replace_file(target) as document,  # in its place when all else is
        ):
            (folder / "plots").mkdir(exist_ok=True)
            several = written.finish()
            if several:
                written.put()  # they are read again
            parts, overview = overviews(report, results)
            # Of one answer to each sample, without numbers per token, nothing more can be drawn.
            traced = trace_images(report, sample_records(folder)) if several else {}
            drawn = draw_sections(report, sample_records(folder)) if several else {}
            packings = written.rows.packings()
            jobs: list[Callable[[], Any]] = [
                *packings,
                *_drawings(report, results, folder),
                partial(_write_tables, report, results, folder, overview, drawn),
                partial(_write_document, report, document),
                *([partial(table, report)] if shown else []),
            ]
            done = shared(jobs, forked=forked)
            if shown:
                shown(done.pop())
            samples = written.rows.embedded(done[: len(packings)], forked=forked)
            pieces = page(report, samples, traced, _with_draws(parts, drawn))
            write_pieces(folder / "index.html", pieces)
            for name, picture in traced.items():
                write_file(folder / "plots" / f"{name}-traces.png", picture)
            attended = attention_images(report, sample_records(folder)) if several else {}
            for name, picture in attended.items():
                write_file(folder / "plots" / f"{name}-attention.png", picture)
            written.put()
    except OSError as error:
        raise unwritable(folder, error) from error
    return target


def write_tables(report: RunReport, results: Sequence[CaseResult], directory: Path) -> None:
    """Write the tables and measured files of a report, and neither its page nor its plots."""
    _, overview = overviews(report, results)
    drawn = draw_sections(report, records(results))
    _write_tables(report, results, directory, overview, drawn)


def _drawings(
    report: RunReport, results: Sequence[CaseResult], folder: Path
) -> Iterator[Callable[[], None]]:
    """The work of drawing: of each experiment by itself, and of what was measured."""
    for name in report.experiments:
        yield partial(_write_figures, plots(report, [name]), folder)
    yield partial(_write_figures, measured_figures(report, results), folder)


def _write_document(report: RunReport, path: Path) -> None:
    with path.open("w", encoding="utf-8", errors="replace", newline="") as file:
        file.writelines(document_of(report))


def _write_figures(figures: Iterable[tuple[str, Figure]], folder: Path) -> None:
    for name, figure in figures:
        image = io.BytesIO()
        figure.savefig(image, format="png")
        write_file(folder / "plots" / f"{name}.png", image.getvalue())


def _write_tables(
    report: RunReport,
    results: Sequence[CaseResult],
    folder: Path,
    overview: Mapping[str, str | bytes],
    drawn: Mapping[str, Mapping[str, Section]],
) -> None:
    files: list[tuple[str, str | bytes]] = [
        ("cases.csv", report.frame().to_csv(index=False, lineterminator="\n")),
        *measured_files(results),
        *overview.items(),
        *section_files(drawn),
        *summary_files(report),
    ]
    for name, content in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_file(folder / name, content)


def write_page(path: Path | str) -> Path:
    """Write index.html beside a report that has none, or one of another version.

    Returns:
        The path of index.html.

    Raises:
        ReportError: the report or its samples cannot be read, or the page cannot be written.
    """
    given = Path(path)
    folder = given if is_folder(given) else given.parent
    target = folder / "index.html"
    report = load_report(given)
    records_there = (folder / RECORDS).is_file()
    results = list(recorded_results(folder, RecordReader().result)) if records_there else []
    parts, _ = overviews(report, results)
    whole = _with_draws(parts, draw_sections(report, sample_records(folder)))
    traced = trace_images(report, sample_records(folder))
    try:
        with SampleRows(report.cases) as rows:
            for record in sample_records(folder):
                rows.add(record)
            write_pieces(target, page(report, rows.embedded(), traced, whole))
    except OSError as error:
        raise ReportError(
            f"{target}: cannot be written: {error.strerror or error}; copy the report elsewhere"
        ) from error
    return target


def _with_draws(
    parts: Mapping[str, Callable[[], Any]], drawn: Mapping[str, Mapping[str, Section]]
) -> dict[str, Any]:
    """The parts of experiments, and behind them what their draws say together."""
    told = {name: markup("Draws", list(each.values())) for name, each in drawn.items()}
    made = {name: part() for name, part in parts.items()}
    return {name: made.get(name, "") + told.get(name, "") for name in {**made, **told}}


def check_writable(directory: Path | str) -> bool:
    """Find out before a run whether its report can be written; makes nothing.

    Returns:
        Whether an older report will be replaced.

    Raises:
        ReportError: the directory is a file, holds other things than a report, or cannot be made
            or written.
    """
    folder = Path(directory)
    try:
        held = sorted(path.name for path in folder.iterdir()) if is_folder(folder) else []
        atomic.check_writable(folder)
    except OSError as error:
        raise ReportError(
            f"{folder}: cannot be written: {error.strerror or error}; choose another directory"
        ) from error
    own = _OWN | folders()
    foreign = [name for name in held if name not in own and not name.startswith(".")]
    if foreign and "report.json" not in held:
        raise ReportError(
            f"{folder}: is not a report: it holds {foreign[0]}; choose a new or an empty directory"
        )
    return "report.json" in held


def default_directory(root: Path, started: datetime) -> Path:
    """Where a report goes unless told otherwise: `reports/20260131-142500`, never an old one.

    `[tool.titrate] reports` of the project's pyproject.toml names another folder for all of them.
    """
    base = root / project(root).reports / f"{started.astimezone():%Y%m%d-%H%M%S}"
    return next(
        candidate
        for candidate in [base, *(base.with_name(f"{base.name}-{n}") for n in range(2, 1000))]
        if not candidate.exists()
    )
