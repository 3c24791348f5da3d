"""What the plots of a report are drawn through, as numbers that can be compared.

Two pictures of the same numbers differ by the version of the library that drew them, and a picture
that was retouched looks like any other. So a bundle carries no pictures: it carries these.
"""

from __future__ import annotations

from typing import Any

from harness.report.report import RunReport

_DIGITS = 9


def drawn(report: RunReport) -> dict[str, Any]:
    """Plot -> axes in their order -> label, lines, points and words, in data coordinates."""
    from matplotlib import pyplot as plt

    from harness.report.figures.plots import plots

    found: dict[str, Any] = {}
    for name, figure in plots(report):
        found[name] = [
            {
                "x": axes.get_xlabel(),
                "y": axes.get_ylabel(),
                "title": axes.get_title(),
                "lines": [
                    {"label": str(line.get_label()), "points": _rounded(line.get_xydata())}
                    for line in axes.get_lines()
                ],
                "texts": [text.get_text() for text in axes.texts],
            }
            for axes in figure.axes
        ]
        plt.close(figure)
    return found


def _rounded(points: Any) -> list[list[float | None]]:
    """Numbers to nine digits; what is not a number is drawn nowhere."""
    return [
        [float(f"{value:.{_DIGITS}g}") if value == value else None for value in point]
        for point in points.tolist()
    ]
