"""Figures of forward measurements: what each layer predicts, and which experts it uses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from harness.report.figures.figure import INK, RULE, panels, surround
from harness.report.figures.palette import COLOURS, MARKERS
from harness.report.report import CaseReport
from harness.statistics.intervals import mean_interval

Arrays = Mapping[str, NDArray[Any]]

_VARIANTS = ("agentic", "assisted")
#: The second lies on the first where the variants agree, and must not hide it.
_DASHES = ("-", "--")
_PANEL = 1.9
#: Inches of a heatmap: for each layer, and at most in all.
_ROW, _LEAST, _MOST = 0.09, 1.3, 3.2
_SCOPES = {"all": "all tokens of the answer", "last": "last token of the answer"}


def forward_figures(case: CaseReport, folder: Path) -> Iterator[tuple[str, Figure]]:
    """The figures of one case of forward passes, from the files that it left, by name."""
    maps = folder / "usage_maps.npz"
    usage = _arrays(maps) if maps.exists() else None
    tables = _arrays(folder / "layers.npz")
    of = "pairs" if "js" in tables else "samples"
    subtitle = f"{case.model}  ·  {case.task.name}  ·  n = {case.task.size} {of}"
    if usage is not None or _columns(tables).size:
        yield "layers", layer_plot(tables, usage, title=case.id, subtitle=subtitle)
    if usage is not None:
        for scope in ("all", "last"):
            title = f"{case.id}: use of experts"
            yield f"usage-{scope}", usage_heatmaps(usage, scope, title=title, subtitle=subtitle)


def _arrays(path: Path) -> Arrays:
    with np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)


def _columns(tables: Arrays) -> NDArray[Any]:
    """The layers that were read; all, in reports from before some could be chosen."""
    return tables["layers"] if "layers" in tables else np.arange(tables["js"].shape[1])


def layer_plot(tables: Arrays, usage: Arrays | None, *, title: str, subtitle: str) -> Figure:
    """Negative log-probability, divergence and, with routers, routing distance, layer by layer;
    what was not read has no panel.

    Args:
        tables: [N, L] by the keys of `measure.paired_summary.layer_tables`.
        usage: Maps of `measure.usage_maps`, or None for a model without routers.
        title: What the figure is of.
        subtitle: Model, task and number of pairs.
    """
    layers = _columns(tables)
    read = [variant for variant in _VARIANTS if layers.size and f"nll_{variant}" in tables]
    compared = layers.size > 0 and "js" in tables
    count = bool(read) + compared + (usage is not None)
    figure, axes = panels(2.2 + _PANEL * (count - 1), count)
    left = iter(axes)
    if read:
        axis = next(left)
        for variant, colour, marker, dash in zip(
            _VARIANTS, COLOURS, MARKERS, _DASHES, strict=False
        ):
            if variant in read:
                _line(axis, layers, tables[f"nll_{variant}"], variant, colour, marker, dash)
        axis.set_ylabel("NLL (nats)")
    if compared:
        axis = next(left)
        _line(axis, layers, tables["js"], "", COLOURS[2], MARKERS[2])
        axis.set_ylabel("JS (nats)")
    if usage is not None:
        axis = next(left)
        axis.plot(
            usage["layers"], usage["tv_mean"], color=COLOURS[3], marker=MARKERS[3], markersize=4
        )
        axis.set_ylabel("routing TV")
    for each in axes:
        each.set_ylim(0, 1.08 * each.get_ylim()[1])
        each.grid(axis="y", color=RULE, linewidth=0.8)
    axes[-1].set_xlabel("layer")
    axes[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    surround(
        figure,
        axes[0],
        title=title,
        subtitle=subtitle,
        caption=(
            "Answer tokens read from every layer through the final norm and the head (logit lens). "
            "NLL: of the right token. JS: Jensen-Shannon divergence between the two variants. "
            "Bands: 95 % intervals over samples."
        ),
        entries=read,
    )
    return figure


def usage_heatmaps(usage: Arrays, scope: str, *, title: str, subtitle: str) -> Figure:
    """Layer x expert: use by the agentic variant, by the assisted one, and their difference.

    Args:
        usage: Maps of `measure.usage_maps`, with `layers`, the indices of its rows.
        scope: `all` or `last`, the positions that were averaged.
        title: What the figure is of.
        subtitle: Model, task and number of pairs.
    """
    averages = [usage[f"avg_{scope}_{variant}"] for variant in _VARIANTS]
    difference = usage[f"diff_{scope}"]
    most = max(float(average.max()) for average in averages)
    apart = float(np.abs(difference).max()) or 1.0
    height = min(_MOST, max(_LEAST, _ROW * len(difference) + 0.4))
    figure, axes = panels(1.4 + 3 * height, 3)
    layers = usage["layers"].tolist()
    for each, name, average in zip(axes, _VARIANTS, averages, strict=False):
        _heatmap(figure, each, average, layers, name, "viridis", (0.0, most))
    _heatmap(figure, axes[2], difference, layers, "agentic - assisted", "RdBu_r", (-apart, apart))
    axes[2].set_xlabel("expert")
    threshold = float(usage[f"threshold_{scope}"])
    surround(
        figure,
        axes[0],
        title=title,
        subtitle=subtitle,
        caption=(
            f"Mean weight of an expert among a token's top {int(usage['top_k'])}, "
            f"{_SCOPES[scope]}. Differences that reach the threshold of {threshold:.3f}: "
            f"{np.count_nonzero(usage[f'thresholded_{scope}'])}."
        ),
        entries=[],
    )
    return figure


def _line(
    axes: Axes,
    layers: NDArray[Any],
    table: NDArray[Any],
    name: str,
    colour: str,
    marker: str,
    dash: str = "-",
) -> None:
    """A mean over samples [N, L] by layer, with its interval where the data can give one."""
    means = table.mean(axis=0)
    bounds = [mean_interval(column) for column in table.T]
    low = [
        mean if bound[0] is None else bound[0] for mean, bound in zip(means, bounds, strict=True)
    ]
    high = [
        mean if bound[1] is None else bound[1] for mean, bound in zip(means, bounds, strict=True)
    ]
    axes.fill_between(layers, low, high, color=colour, alpha=0.15, linewidth=0)
    (line,) = axes.plot(layers, means, color=colour, marker=marker, markersize=4, label=name)
    line.set(linestyle=dash, linewidth=1.6)


def _heatmap(
    figure: Figure,
    axes: Axes,
    matrix: NDArray[Any],
    layers: Sequence[int],
    name: str,
    colours: str,
    limits: tuple[float, float],
) -> None:
    image = axes.imshow(
        matrix, aspect="auto", interpolation="nearest", cmap=colours, vmin=limits[0], vmax=limits[1]
    )
    step = max(1, len(layers) // 8)
    axes.set_yticks(range(0, len(layers), step), [str(layer) for layer in layers[::step]])
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel("layer")
    axes.set_title(name, size=9, color=INK, loc="left")
    bar = figure.colorbar(image, ax=axes, pad=0.01)
    bar.ax.tick_params(labelsize=7.5, colors=INK)
    bar.outline.set_visible(False)
