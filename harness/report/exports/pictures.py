"""The plots of a report as SVG and PDF, for papers; a report's folder has them as PNG."""

from __future__ import annotations

import io
from pathlib import Path

from harness.files.atomic import write_file
from harness.report.loaded import Report

#: No dates, and names inside that do not change: the same report gives the same bytes.
_PLAIN = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}


def write_pictures(report: Report, folder: Path) -> list[Path]:
    """`EXPERIMENT.svg` and `EXPERIMENT.pdf` of every plot, whose text stays text."""
    import matplotlib as mpl

    from harness.report.figures.plots import plots

    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, figure in plots(report.report):
        for form, metadata in _PLAIN.items():
            image = io.BytesIO()
            with mpl.rc_context(
                {"svg.hashsalt": "titrate", "svg.fonttype": "none", "pdf.fonttype": 42}
            ):
                figure.savefig(image, format=form, metadata=metadata)
            written.append(folder / f"{name}.{form}")
            write_file(written[-1], image.getvalue())
    return written
