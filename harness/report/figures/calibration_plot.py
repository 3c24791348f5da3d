"""A calibration as figures: the grid of rank by confidence, and observed against predicted."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from harness.files.atomic import replace_file
from harness.measure.calibration_files import GRID, RESULT
from harness.report.figures.figure import GREY, HEIGHT, RULE, canvas, surround
from harness.report.figures.palette import COLOURS, ordered
from harness.report.report import CaseReport
from harness.report.section import Section


def calibration_figures(case: CaseReport, folder: Path) -> Iterator[tuple[str, Figure]]:
    """`calibration`, the heatmap, and `reliability`."""
    rows, found = _read(folder)
    yield "calibration", heatmap(rows, found, case.id)
    yield "reliability", reliability(rows, found, case.id)


def write_pdf(folder: Path, title: str) -> None:
    """The heatmap as calibration.pdf, beside the files that it is of."""
    rows, found = _read(folder)
    # Without the time of day, so that the same numbers give the same file.
    about = {"CreationDate": None, "Producer": None, "Creator": None}
    with replace_file(folder / "calibration.pdf") as part:
        heatmap(rows, found, title).savefig(part, format="pdf", metadata=about)


def calibration_sections(case: CaseReport, folder: Path) -> Iterator[Section]:
    """The same on the page, with the grid as a table."""
    rows, found = _read(folder)
    header = ("confidence", "rank", "tokens", "observed", "95 % interval", "predicted")
    table = tuple(
        (
            f"{row['above']} to {row['to']}",
            row["rank"],
            row["tokens"],
            _told(row["observed"]),
            f"[{_told(row['low'])}, {_told(row['high'])}]" if row["low"] else "",
            _told(row["predicted"]),
        )
        for row in rows
        if row["tokens"] != "0"
    )
    about = f"{case.id}: {_said(found)}"
    for title, figure in (
        ("How often each rank is right, by confidence", heatmap),
        ("Observed against predicted", reliability),
    ):
        image = io.BytesIO()
        figure(rows, found, case.id).savefig(image, format="png", dpi=110)
        yield Section(title, about, image.getvalue(), header, table)


def _told(number: str) -> str:
    """A number of the grid, for reading."""
    return f"{float(number):.3g}" if number else ""


def _read(folder: Path) -> tuple[list[dict[str, str]], dict[str, Any]]:
    with (folder / GRID).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    found: dict[str, Any] = json.loads((folder / RESULT).read_text("utf-8"))
    return rows, found


def _said(found: dict[str, Any]) -> str:
    """The numbers of a calibration in a line."""
    error = found["ece"]
    bounds = ""
    if error["interval"][0] is not None:
        bounds = " [{:.3f}, {:.3f}]".format(*error["interval"])
    of = "" if found["samples"] is None else f" of {found['samples']} samples"
    said = f"{found['tokens']} tokens{of}; expected calibration error "
    said += f"{error['value']:.3f}{bounds}"
    if found["fit"] is not None:
        said += "; ln c = {a:.3f} + {b:.3f} ln p (weighted: {wa:.3f} + {wb:.3f} ln p)".format(
            **{name: found["fit"][name] for name in "ab"},
            **{f"w{name}": found["fit_weighted"][name] for name in "ab"},
        )
    return said


def heatmap(rows: list[dict[str, str]], found: dict[str, Any], title: str) -> Figure:
    """How often the r-th most probable token is right, by confidence; empty bins are white."""
    figure, axes = canvas(HEIGHT)
    ranks = max(int(row["rank"]) for row in rows)
    bins = len(rows) // ranks
    observed = np.asarray([float(row["observed"] or "nan") for row in rows]).reshape(bins, ranks)
    seen = observed[observed > 0]
    image = axes.imshow(
        np.where(observed > 0, observed, np.nan),
        origin="lower",
        aspect="auto",
        cmap="viridis",
        norm=LogNorm(seen.min() if len(seen) else 1e-3, 1.0),
    )
    supports = [row["tokens"] for row in rows[::ranks]]
    axes.set_xticks(range(ranks), [str(rank + 1) for rank in range(ranks)])
    axes.set_yticks(
        range(bins),
        [
            f"{row['above']} to {row['to']}  ({n})"
            for row, n in zip(rows[::ranks], supports, strict=True)
        ],
    )
    axes.set_xlabel("rank of the token")
    axes.set_ylabel("largest probability  (tokens)")
    figure.colorbar(image, ax=axes, label="share that is the reference's")
    surround(
        figure,
        axes,
        title=title,
        subtitle=_said(found),
        caption="White: never, or no token. Teacher forced over the task's reference answers.",
        entries=[],
    )
    return figure


def reliability(rows: list[dict[str, str]], found: dict[str, Any], title: str) -> Figure:
    """Observed over predicted of the first ranks, both logarithmic, with the fitted line."""
    figure, axes = canvas(HEIGHT)
    shown = [1, 2, 3, 5, 10]
    by_rank: dict[int, list[dict[str, str]]] = {}
    for row in rows:
        if float(row["observed"] or 0) > 0:
            by_rank.setdefault(int(row["rank"]), []).append(row)
    for rank, hue in zip(shown, ordered(len(shown)), strict=True):
        cells = by_rank.get(rank)
        if cells is None:
            continue
        x, y = (np.asarray([float(row[key]) for row in cells]) for key in ("predicted", "observed"))
        low, high = (
            np.asarray([float(row[key] or row["observed"]) for row in cells])
            for key in ("low", "high")
        )
        axes.errorbar(
            x,
            y,
            [np.maximum(0, y - np.maximum(low, y / 50)), np.maximum(0, high - y)],
            fmt="o",
            color=hue.light,
            markersize=4,
            elinewidth=0.8,
            label=f"rank {rank}",
        )
    ends = np.asarray([1e-3, 1.0])
    axes.plot(ends, ends, color=GREY, linewidth=0.9, linestyle=(0, (5, 3)), label="calibrated")
    fit = found["fit"]
    if fit is not None:
        line = np.exp(fit["a"]) * ends ** fit["b"]
        axes.plot(ends, line, color=COLOURS[1], linewidth=1.2, label="fit of all cells")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_ylim(top=1.5)
    axes.grid(color=RULE, linewidth=0.8)
    axes.set_xlabel("predicted: mean probability of the rank in its bin")
    axes.set_ylabel("observed: share that is the reference's")
    surround(
        figure,
        axes,
        title=title,
        subtitle=_said(found),
        caption="A marker per bin of confidence; bars: 95 % intervals over draws of samples.",
        entries=axes.get_legend_handles_labels()[1],
    )
    return figure
