"""The analyses of a report's draws, experiment by experiment: sections of the page, and files.

draws/EXPERIMENT-maj.csv, plots/EXPERIMENT-maj.png, ...
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from harness.report.draws.curves import drawings
from harness.report.draws.drawn import Samples, of_records
from harness.report.draws.figure import drawing_figure, table_rows
from harness.report.draws.grouped import Groups
from harness.report.figures.curves import by_dose, curves
from harness.report.figures.plotted import labels, subtitle
from harness.report.report import RunReport
from harness.report.section import Section

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Dots per inch of pictures: there are up to eleven of them on a page.
_DPI = 110


def draw_sections(
    report: RunReport, records: Iterable[Mapping[str, Any]]
) -> dict[str, dict[str, Section]]:
    """Experiment -> analysis -> its section, of the lines of samples.jsonl."""
    found = {}
    for name, cases, baselines in _experiments(report, records):
        groups = _groups(report, name)
        sections = dict(sections_of(cases, baselines, name, subtitle(report, name), groups))
        if sections:
            found[name] = sections
    return found


def draw_figures(
    report: RunReport, records: Iterable[Mapping[str, Any]]
) -> Iterator[tuple[str, Figure]]:
    """Yield `(EXPERIMENT-ANALYSIS, figure)` for what these sections show."""
    for name, cases, baselines in _experiments(report, records):
        for drawing in drawings(cases, baselines):
            figure = drawing_figure(drawing, name, subtitle(report, name), _groups(report, name))
            yield f"{name}-{drawing.analysis.name}", figure


def _experiments(
    report: RunReport, records: Iterable[Mapping[str, Any]]
) -> Iterator[tuple[str, dict[str, Samples], dict[str, str]]]:
    """Every experiment with the samples of its cases, and their baselines, by labels."""
    drawn = of_records(records)
    for name in report.experiments:
        named = labels(report, name)
        cases = {named[case.id]: drawn[case.id] for case in _told(report, name, drawn)}
        baselines = {
            named[case.id]: named[case.baseline]
            for case in report.experiment(name)
            if case.baseline in named
        }
        yield name, cases, baselines


def _told(report: RunReport, name: str, drawn: Mapping[str, Samples]) -> list[Any]:
    return [case for case in report.experiment(name) if drawn.get(case.id)]


def _groups(report: RunReport, name: str) -> dict[str, dict[str, str]]:
    """What panels of an experiment have: a line per dose, of cases that are no baselines."""
    cases = by_dose(report, report.experiment(name))
    if not cases:
        return {}
    named, axis = labels(report, name), (cases[0][1].dose_axis or "dose").rpartition(".")[2]
    return {
        panel: {f"{axis}={dose:g}": named[case.id] for dose, case in members}
        for panel, members in curves(cases).items()
    }


def sections_of(
    cases: Mapping[str, Samples],
    baselines: Mapping[str, str],
    title: str,
    below: str,
    groups: Groups = MappingProxyType({}),
) -> Iterator[tuple[str, Section]]:
    """Each analysis that has something to say, by name; `below` stands below the title."""
    for drawing in drawings(cases, baselines):
        image = io.BytesIO()
        drawing_figure(drawing, title, below, groups).savefig(image, format="png", dpi=_DPI)
        analysis = drawing.analysis
        header: tuple[str, ...] = ("case", analysis.x, analysis.y.name, "95 % interval")
        header += ("minus the baseline", "95 % interval, paired", "samples")
        rows = tuple(table_rows(drawing))
        yield (
            analysis.name,
            Section(analysis.title, analysis.about, image.getvalue(), header, rows),
        )


def section_files(sections: Mapping[str, Mapping[str, Section]]) -> Iterator[tuple[str, bytes]]:
    """Yield `(path below the report, content)`: a table and a plot of every section."""
    for experiment, each in sections.items():
        for name, section in each.items():
            text = io.StringIO()
            csv.writer(text, lineterminator="\n").writerows([section.header, *section.rows])
            yield f"draws/{experiment}-{name}.csv", text.getvalue().encode()
            yield f"plots/{experiment}-{name}.png", section.picture
