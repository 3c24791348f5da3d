"""A report into a directory: cases.csv, samples.jsonl, index.html, plots/*.png, then report.json.

Each file is written beside its place and renamed into it, so none is ever torn, and a run that is
interrupted here leaves each file either as it was or new.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from harness.errors import ReportError
from harness.reporting.files import replace_file as _replace
from harness.reporting.load import load_report, sample_records
from harness.reporting.page import page
from harness.reporting.plots import plots
from harness.reporting.report import Report
from harness.reporting.schema import validate
from harness.runs.results import CaseResult


def write(report: Report, results: Sequence[CaseResult], directory: Path | str) -> Path:
    """Write a report and the samples behind it; existing files of the same names are replaced.

    Returns:
        The path of report.json.

    Raises:
        ReportError: the report does not fit its schema (nothing is written then), or the directory
            is a file or cannot be written.
    """
    folder = Path(directory)
    document = report.model_dump(mode="json")
    validate(document, str(folder / "report.json"))
    try:
        (folder / "plots").mkdir(parents=True, exist_ok=True)
        _replace(folder / "cases.csv", report.frame().to_csv(index=False, lineterminator="\n"))
        _replace(folder / "samples.jsonl", "".join(map(_line, records(results))))
        _replace(folder / "index.html", page(report, records(results)))
        for name, figure in plots(report):
            image = io.BytesIO()
            figure.savefig(image, format="png")
            _replace(folder / "plots" / f"{name}.png", image.getvalue())
        target = folder / "report.json"
        _replace(target, json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    except OSError as error:
        raise ReportError(
            f"{folder}: cannot be written: {error.strerror or error}; choose another directory"
        ) from error
    return target


def write_page(path: Path | str) -> Path:
    """Write index.html beside a report that has none, or one of another version.

    Returns:
        The path of index.html.

    Raises:
        ReportError: the report or its samples cannot be read, or the page cannot be written.
    """
    given = Path(path)
    folder = given if given.is_dir() else given.parent
    target = folder / "index.html"
    content = page(load_report(given), sample_records(folder))
    try:
        _replace(target, content)
    except OSError as error:
        raise ReportError(
            f"{target}: cannot be written: {error.strerror or error}; copy the report elsewhere"
        ) from error
    return target


def check_writable(directory: Path | str) -> None:
    """Find out before a run whether its report can be written; makes nothing.

    Raises:
        ReportError: the directory is a file, or cannot be made or written.
    """
    folder = Path(directory)
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    try:
        with TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise ReportError(
            f"{folder}: cannot be written: {error.strerror or error}; choose another directory"
        ) from error


def records(results: Sequence[CaseResult]) -> Iterator[dict[str, Any]]:
    """The lines of samples.jsonl before they are text: one per case, sample and draw."""
    for result in results:
        metrics = by_sample(result)
        for draw in result.draws:
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
                "detail": draw.score.detail,
                "agreement": draw.agreement,
                "metrics": metrics.get(draw.sample, {}),
            }


def _line(record: dict[str, Any]) -> str:
    return json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n"


def by_sample(result: CaseResult) -> dict[str, dict[str, float]]:
    """Sample id -> metric -> value over all of its draws: what comparisons pair."""
    samples: dict[str, dict[str, float]] = {}
    for metric, values in result.sample_metrics.items():
        for sample, value in values.items():
            samples.setdefault(sample, {})[metric] = value
    return samples
