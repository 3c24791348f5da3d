"""A figure's page: plain axes, with text around them that never covers anything.

Figures are made through matplotlib's objects on the Agg canvas; pyplot's global state is not used.
"""

from __future__ import annotations

import textwrap
from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

DPI = 150
#: Inches.
WIDTH, HEIGHT = 7.0, 4.5
INK, GREY, RULE = "#222222", "#6B6B6B", "#E6E6E6"
#: Inches: the margin, and the heights of lines of text above and below the axes.
_MARGIN, _TITLE, _SUBTITLE, _LEGEND, _CAPTION = 0.12, 0.25, 0.17, 0.18, 0.15
#: Characters that fit on a line of each kind; a longer title is set smaller.
_TITLE_FITS, _SMALL_TITLE_FITS, _SUBTITLE_FITS, _CAPTION_FITS = 58, 80, 100, 128
#: Pixels that must be free between two labels of the x axis.
_CLEAR = 9


def canvas(height: float) -> tuple[Figure, Axes]:
    """An empty figure of a height in inches, and its axes."""
    figure, (axes,) = panels(height, 1)
    return figure, axes


def panels(height: float, rows: int, *, shared: bool = True) -> tuple[Figure, list[Axes]]:
    """An empty figure of a height in inches, and the axes below each other in it.

    Whether they have one x axis is up to `shared`.
    """
    figure = Figure(figsize=(WIDTH, height), dpi=DPI, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(rows, 1, sharex=shared, squeeze=False)[:, 0]
    for axes in grid:
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        for side in ("left", "bottom"):
            axes.spines[side].set_color(GREY)
        axes.tick_params(colors=INK, labelsize=8.5)
        axes.xaxis.label.set(size=9.5, color=INK)
        axes.yaxis.label.set(size=9.5, color=INK)
        axes.set_axisbelow(True)
    return figure, list(grid)


def surround(
    figure: Figure, axes: Axes, *, title: str, subtitle: str, caption: str, entries: list[str]
) -> None:
    """Put title, subtitle and legend above the axes and a caption below.

    The figure grows by what exceeds one line of each, so that the axes keep their size. `entries`
    are the labels of the axes' legend; no legend without them.
    """
    size, fits = (13.0, _TITLE_FITS) if len(title) <= _TITLE_FITS else (9.5, _SMALL_TITLE_FITS)
    titles = textwrap.wrap(title, fits)
    title_height = len(titles) * _TITLE * size / 13.0
    subtitles = textwrap.wrap(subtitle, _SUBTITLE_FITS)
    captions = textwrap.wrap(caption, _CAPTION_FITS)
    entry_width = max((len(entry) for entry in entries), default=0) * 0.065 + 0.6
    columns = max(1, min(len(entries), int((WIDTH - 2 * _MARGIN) / entry_width)))
    rows = -(-len(entries) // columns)
    above = _MARGIN + title_height + len(subtitles) * _SUBTITLE + rows * _LEGEND
    below = _MARGIN + len(captions) * _CAPTION
    usual = 2 * _MARGIN + _TITLE + _SUBTITLE + _LEGEND + _CAPTION
    height = figure.get_figheight() + max(0.0, above + below - usual)
    figure.set_figheight(height)

    left, top = _MARGIN / WIDTH, 1 - _MARGIN / height
    figure.text(left, top, "\n".join(titles), va="top", size=size, weight="bold", color=INK)
    top -= title_height / height
    figure.text(left, top, _literal("\n".join(subtitles)), va="top", size=8.5, color=GREY)
    top -= len(subtitles) * _SUBTITLE / height
    if entries:
        figure.legend(
            axes.get_legend_handles_labels()[0],
            [_literal(entry) for entry in entries],
            loc="upper left",
            bbox_to_anchor=(left, top),
            ncols=columns,
            frameon=False,
            fontsize=8.5,
            borderpad=0.2,
            borderaxespad=0,
            columnspacing=1.6,
            labelspacing=0.3,
        )
    bottom = _MARGIN / 2 / height
    figure.text(left, bottom, "\n".join(captions), va="bottom", size=7.5, color=GREY)
    inside = (left / 2, below / height, 1 - left, 1 - (above + below) / height)
    figure.set_layout_engine("constrained", rect=inside)


def beside(axes: Axes) -> None:
    """Put the legend of one panel among several to its right."""
    handles, entries = axes.get_legend_handles_labels()
    axes.legend(
        handles,
        [_literal(entry) for entry in entries],
        loc="upper left",
        bbox_to_anchor=(1.01, 1),
        frameon=False,
        fontsize=8,
        borderaxespad=0,
        labelspacing=0.3,
    )


def untangle(figure: Figure, axes: Axes) -> None:
    """Turn the labels of the x axis upright when two of them would touch."""
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in axes.get_xticklabels()]
    if any(a.x1 + _CLEAR > b.x0 for a, b in pairwise(boxes)):
        axes.tick_params(axis="x", rotation=90)


def _literal(text: str) -> str:
    """Text in which dollar signs are not mathematics."""
    return text.replace("$", r"\$")
