"""A report into a directory: tables, records, samples, index.html, plots/*.png, then report.json.

Each file is written beside its place and renamed into it, so none is ever torn, and a run that is
interrupted here leaves each file either as it was or new.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from shutil import copyfileobj
from tempfile import TemporaryFile
from typing import IO, Any

from matplotlib.figure import Figure
from pydantic import JsonValue

from harness.engines.contract import Completion
from harness.errors import ReportError
from harness.files import atomic
from harness.files.atomic import replace_file, write_file, write_pieces
from harness.files.given import is_folder
from harness.files.project import project
from harness.metrics.column import columns_of
from harness.processes.beside import beside
from harness.report.draws.sections import draw_sections, section_files
from harness.report.figures.attention_maps import attention_images
from harness.report.figures.plots import plots
from harness.report.figures.traces import trace_images
from harness.report.load import RECORDS, load_report, sample_records
from harness.report.measured_files import folders, measured_figures, measured_files, overviews
from harness.report.page import page
from harness.report.page.samples import SampleRows
from harness.report.page.sections import markup
from harness.report.recorded import recorded_results
from harness.report.report import RunReport
from harness.report.schema import check_report, document_of
from harness.report.section import Section
from harness.report.tables.study_table import summary_files
from harness.store.recorded import RecordReader
from harness.store.records import record_line, record_lines
from harness.store.results import CaseResult, answer_of

# What a report's directory may hold; a write that was interrupted leaves some of it.
_OWN = {"cases.csv", "samples.jsonl", RECORDS, "plots", "report.json", "index.html"}
_OWN |= {"paired", "search", "draws"}
#: Bytes that are copied at a time.
_PIECE = 2**20
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False)


def write(
    report: RunReport,
    results: Sequence[CaseResult],
    directory: Path | str,
    *,
    forked: bool = False,
) -> Path:
    """Write a report and the samples behind it; existing files of the same names are replaced.

    Args:
        report: The report.
        results: What it was made of.
        directory: Where to.
        forked: Whether copies of this process may write beside it (`processes/beside.py`).

    Returns:
        The path of report.json.

    Raises:
        ReportError: the report does not fit its schema (nothing is written then), or the directory
            is a file or cannot be written.
    """
    folder = Path(directory)
    check_report(report, str(folder / "report.json"))
    try:
        (folder / "plots").mkdir(parents=True, exist_ok=True)
        with SampleRows(report.cases, folder) as rows:
            several = _write_samples(folder, results, rows, forked=forked)
            parts, overview = overviews(report, results)
            # Of one answer to each sample, without numbers per token, nothing more can be drawn.
            traced = trace_images(report, sample_records(folder)) if several else {}
            drawn = draw_sections(report, sample_records(folder)) if several else {}
            _write_tables(report, results, folder, overview, drawn)
            pieces = page(report, rows.embedded(forked=forked), traced, _with_draws(parts, drawn))
            write_pieces(folder / "index.html", pieces)
        first, second = report.experiments[::2], report.experiments[1::2]
        others = partial(_write_figures, plots(report, second), folder)
        with beside(others, forked=forked and bool(second)) as drawn_beside:
            _write_figures(plots(report, first), folder)
            _write_figures(measured_figures(report, results), folder)
            drawn_beside()
        for name, picture in traced.items():
            write_file(folder / "plots" / f"{name}-traces.png", picture)
        attended = attention_images(report, sample_records(folder)) if several else {}
        for name, picture in attended.items():
            write_file(folder / "plots" / f"{name}-attention.png", picture)
        target = folder / "report.json"
        write_pieces(target, document_of(report))
    except OSError as error:
        raise ReportError(
            f"{folder}: cannot be written: {error.strerror or error}; choose another directory"
        ) from error
    return target


def write_tables(report: RunReport, results: Sequence[CaseResult], directory: Path) -> None:
    """Write the tables and measured files of a report, and neither its page nor its plots."""
    _, overview = overviews(report, results)
    drawn = draw_sections(report, records(results))
    _write_tables(report, results, directory, overview, drawn)


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


def records(results: Sequence[CaseResult]) -> Iterator[dict[str, Any]]:
    """The lines of samples.jsonl before they are text: one per case, sample and draw.

    Only what was read for an answer with a name has `answer`, and only what has numbers per token
    `traces`, and `pieces`, each token's text by itself. Only where another model would have said
    something else from a token on there is `instead`, as `[token, text]`. Only samples of which
    another model was asked for text, such as a judge, have `told`: all that it said of the sample,
    by metric.
    """
    for result in results:
        metrics = by_sample(result)
        told = _told(result)
        asked = result.case.experiment.columns
        for draw in result.draws:
            brought = draw.completion.traces
            traces = columns_of(answer_of(draw), brought, asked) if asked or brought else {}
            yield {
                "case": result.case.id,
                "sample": draw.sample,
                "draw": draw.draw,
                "prompt": draw.prompt,
                "completion": draw.completion.text,
                "tokens": len(draw.completion.tokens),
                "finish_reason": draw.completion.finish_reason,
                "error": draw.completion.error,
                "correct": draw.score.correct,
                "parsed": draw.score.parsed,
                "tool_call": draw.score.tool_call,
                "detail": draw.score.detail,
                "agreement": draw.agreement,
                "metrics": metrics.get(draw.sample, {}),
                **({} if draw.score.answer is None else {"answer": draw.score.answer}),
                **({"traces": traces} if traces else {}),
                **({"pieces": list(draw.pieces)} if traces and draw.pieces else {}),
                **({"instead": [[at, text] for at, text in draw.instead]} if draw.instead else {}),
                **({"told": told[draw.sample]} if draw.sample in told else {}),
            }


def _write_samples(
    folder: Path, results: Sequence[CaseResult], rows: SampleRows, *, forked: bool
) -> bool:
    """samples.jsonl and the records, a case in memory at a time, and what the page shows of them.

    A copy of this process writes the second half of them, which is put behind the first.

    Returns:
        Whether some sample has several draws, or numbers per token.
    """
    half = len(results) // 2 if forked else len(results)
    with (
        replace_file(folder / RECORDS) as records_part,
        replace_file(folder / "samples.jsonl") as samples_part,
        records_part.open("wb") as recorded,
        samples_part.open("wb") as samples,
        TemporaryFile(dir=folder) as recorded_beside,
        TemporaryFile(dir=folder) as samples_beside,
    ):
        recorded.writelines(record_lines([]))  # what the file says of itself
        share = partial(_write_share, results[half:], rows, recorded_beside, samples_beside)
        with rows.beside(share, forked=half < len(results)) as second:
            found = [_write_share(results[:half], rows, recorded, samples), second()]
        for beside, whole in ((recorded_beside, recorded), (samples_beside, samples)):
            beside.seek(0)
            copyfileobj(beside, whole, _PIECE)
    return any(found)


def _write_share(
    results: Sequence[CaseResult], rows: SampleRows, recorded: IO[bytes], samples: IO[bytes]
) -> bool:
    """The same of some of the cases. Half a surrogate pair becomes a question mark."""
    several = False
    for result in results:
        recorded.write(record_line(result))
        for record in records([result]):
            samples.write(_line(record).encode("utf-8", "replace"))
            rows.add(record)
            several = several or record["draw"] > 0 or "traces" in record
    recorded.flush()
    samples.flush()
    return several


def _told(result: CaseResult) -> dict[str, dict[str, list[str]]]:
    """Sample id -> metric -> what was answered to what the metric asked, in words."""
    found: dict[str, dict[str, list[str]]] = {}
    for metric, samples in result.replies.items():
        for sample, replies in samples.items():
            texts = [reply.text for reply in replies if isinstance(reply, Completion)]
            if texts:
                found.setdefault(sample, {})[metric] = texts
    return found


def _line(record: dict[str, Any]) -> str:
    return _ENCODER.encode(record) + "\n"


def by_sample(result: CaseResult) -> dict[str, dict[str, JsonValue]]:
    """Sample id -> metric -> value over all of its draws: what comparisons pair."""
    samples: dict[str, dict[str, JsonValue]] = {}
    for metric, values in result.sample_metrics.items():
        for sample, value in values.items():
            samples.setdefault(sample, {})[metric] = value
    return samples
