"""What readings leave beside a report: the files of each case, and figures of them.

    forward/<case>/layers.npz, usage_maps.npz, ..._points.json, summary.json
    plots/<case>-layers.png, <case>-usage-all.png, <case>-usage-last.png

The folder has the name of the measure. Files are copied from where the run kept them, or from the
report that one is made again from. Where neither folder is, a report has the numbers of its cases
and leaves these files out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from harness import registry
from harness.report.report import RunReport
from harness.store.results import CaseResult


def measured_files(results: Iterable[CaseResult]) -> Iterator[tuple[str, bytes]]:
    """Yield `(path below the report, content)` for every case that has files."""
    for result, folder in _measured(results):
        for file in sorted(each for each in folder.rglob("*") if each.is_file()):
            name = f"{result.measure.name}/{result.case.id}/{file.relative_to(folder)}"
            yield name, file.read_bytes()


def measured_figures(report: RunReport, results: Iterable[CaseResult]) -> Iterator[tuple[str, Any]]:
    """Yield `(CASE-KIND, figure)` of these files."""
    cases = {case.id: case for case in report.cases}
    for result, folder in _measured(results):
        name = result.case.id
        for kind, figure in result.measure.figures_of(cases[name], folder):
            yield f"{name}-{kind}", figure


def _measured(results: Iterable[CaseResult]) -> Iterator[tuple[CaseResult, Path]]:
    for result in results:
        if result.artefacts is not None and Path(result.artefacts).is_dir():
            yield result, Path(result.artefacts)


def overviews(
    report: RunReport, results: Iterable[CaseResult]
) -> tuple[dict[str, Callable[[], Any]], dict[str, str | bytes]]:
    """What measures say of whole experiments: parts of the page by experiment, each made when it is
    called, and files.
    """
    found = {
        result.case.id: (result.measure, Path(result.artefacts))
        for result in results
        if result.artefacts is not None and result.measure.overview is not None
    }
    parts: dict[str, Callable[[], Any]] = {}
    files: dict[str, str | bytes] = {}
    for experiment in report.experiments:
        cases = report.experiment(experiment)
        folders = {case.id: found[case.id][1] for case in cases if case.id in found}
        for case in cases:
            if case.id in found:
                measure = found[case.id][0]
                parts[experiment], more = registry.loaded(measure.overview)(cases, folders)
                files |= more
                break
    return parts, files


def folders() -> set[str]:
    """The folders of a report that measures write."""
    return set(registry.measures.names())
