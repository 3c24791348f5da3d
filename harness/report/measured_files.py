"""What readings leave beside a report: the files of each case, and figures of them.

    forward/<case>/layers.npz, usage_maps.npz, ..._points.json, summary.json
    plots/<case>-layers.png, <case>-usage-all.png, <case>-usage-last.png

The folder has the name of the measure. Files are copied from where the run kept them, or from the
report that one is made again from. Where neither folder is, a report has the numbers of its cases
and leaves these files out.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from harness.registry import measures
from harness.report.report import RunReport
from harness.report.section import Section
from harness.spec.measure import measure_named
from harness.store.results import CaseResult


def measured_files(report: RunReport, results: Sequence[CaseResult]) -> Iterator[tuple[str, bytes]]:
    """Yield `(path below the report, content)` for every case that has files."""
    cases = {case.id: case for case in report.cases}
    for result in results:
        folder = Path(result.artefacts) if result.artefacts is not None else None
        if folder is None or not folder.is_dir():
            continue
        name = result.case.id
        for file in sorted(folder.iterdir()):
            yield f"{result.measure.name}/{name}/{file.name}", file.read_bytes()
        for kind, figure in result.measure.figures_of(cases[name], folder):
            image = io.BytesIO()
            figure.savefig(image, format="png")
            yield f"plots/{name}-{kind}.png", image.getvalue()


def measured_sections(report: RunReport, kept: Mapping[str, Path]) -> dict[str, dict[str, Section]]:
    """Experiment -> name -> what its measure shows on the page of the files of its cases.

    `kept` is the folder of each case that has one, by its id.
    """
    found: dict[str, dict[str, Section]] = {}
    for case in report.cases:
        folder = kept.get(case.id)
        if folder is not None and folder.is_dir():
            measure = measure_named(str(case.settings.get("measure", "generate")))
            for name, section in measure.sections_of(case, folder):
                found.setdefault(case.experiment, {})[f"{case.id}-{name}"] = section
    return found


def folders_of(report: RunReport, directory: Path) -> dict[str, Path]:
    """The folder of every case beside a report."""
    return {
        case.id: directory / str(case.settings.get("measure", "generate")) / case.id
        for case in report.cases
    }


def folders() -> set[str]:
    """The folders of a report that measures write."""
    return set(measures.names())
