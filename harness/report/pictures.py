"""The plots of a report as SVG and PDF, for papers; a report's folder has them as PNG."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from harness.files.atomic import write_file
from harness.report.load import RECORDS, sample_records
from harness.report.loaded import Report

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: No dates, and names inside that do not change: the same report gives the same bytes.
_PLAIN = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}


def write_pictures(report: Report, folder: Path) -> list[Path]:
    """`NAME.svg` and `NAME.pdf` of every `plots/NAME.png`; their text stays text."""
    import matplotlib as mpl

    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, figure in _figures(report):
        for form, metadata in _PLAIN.items():
            image = io.BytesIO()
            with mpl.rc_context(
                {"svg.hashsalt": "titrate", "svg.fonttype": "none", "pdf.fonttype": 42}
            ):
                figure.savefig(image, format=form, metadata=metadata)
            written.append(folder / f"{name}.{form}")
            write_file(written[-1], image.getvalue())
    return written


def _figures(report: Report) -> Iterator[tuple[str, Figure]]:
    """Every figure that a report's folder has, by its name there."""
    from harness.report.draws.sections import draw_figures
    from harness.report.figures.plots import plots
    from harness.report.figures.traces import trace_figures
    from harness.report.measured_files import measured_figures
    from harness.report.recorded import recorded_results

    yield from plots(report.report)
    if (report.directory / "samples.jsonl").is_file():
        for name, figure in trace_figures(report.report, sample_records(report.directory)):
            yield f"{name}-traces", figure
        yield from draw_figures(report.report, sample_records(report.directory))
    if (report.directory / RECORDS).is_file():
        yield from measured_figures(report.report, recorded_results(report.directory))
