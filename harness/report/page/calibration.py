"""What `measure: calibration` shows of an experiment: grids, and observed against predicted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from markupsafe import Markup

from harness.report.figures.calibration_plot import calibration_sections
from harness.report.page.sections import markup
from harness.report.report import CaseReport


def overview(
    cases: Sequence[CaseReport], folders: Mapping[str, Path]
) -> tuple[Callable[[], Markup], dict[str, str | bytes]]:
    """The part of the page; all files are beside the cases already."""

    def part() -> Markup:
        sections = [
            section
            for case in cases
            if case.id in folders
            for section in calibration_sections(case, folders[case.id])
        ]
        return markup("Calibration", sections)

    return part, {}
