"""What forward passes leave beside a report: tables, usage maps, points files and their figures.

    forward/<case>/layers.npz, usage_maps.npz, ..._points.json, summary.json
    plots/<case>-layers.png, <case>-usage-all.png, <case>-usage-last.png

They are copied from where the run kept them, or from the report that one is made again from. Where
neither folder is, a report has the numbers of its cases and leaves these files out.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from harness.report.figures.paired_plots import Arrays, layer_plot, usage_heatmaps
from harness.report.report import CaseReport, Report
from harness.store.results import CaseResult

#: The folder of a report in which they lie.
FORWARD = "forward"


def forward_files(report: Report, results: Sequence[CaseResult]) -> Iterator[tuple[str, bytes]]:
    """Yield `(path below the report, content)` for every case of forward passes."""
    cases = {case.id: case for case in report.cases}
    for result in results:
        folder = Path(result.artefacts) if result.artefacts is not None else None
        if folder is None or not folder.is_dir():
            continue
        name = result.case.id
        for file in sorted(folder.iterdir()):
            yield f"{FORWARD}/{name}/{file.name}", file.read_bytes()
        for kind, figure in _figures(cases[name], folder):
            image = io.BytesIO()
            figure.savefig(image, format="png")
            yield f"plots/{name}-{kind}.png", image.getvalue()


def _figures(case: CaseReport, folder: Path) -> Iterator[tuple[str, Figure]]:
    subtitle = f"{case.model}  ·  {case.task.name}  ·  n = {case.task.size} pairs"
    maps = folder / "usage_maps.npz"
    usage = _arrays(maps) if maps.exists() else None
    yield (
        "layers",
        layer_plot(_arrays(folder / "layers.npz"), usage, title=case.id, subtitle=subtitle),
    )
    if usage is not None:
        for scope in ("all", "last"):
            title = f"{case.id}: use of experts"
            yield f"usage-{scope}", usage_heatmaps(usage, scope, title=title, subtitle=subtitle)


def _arrays(path: Path) -> Arrays:
    with np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)
