"""Which routers an experiment masked, as a grid of layers and experts."""

from __future__ import annotations

from typing import Any

from harness.report.figures.curves import by_dose, curves
from harness.report.page.grids import Grid, Layer, distinct, filled
from harness.report.report import CaseReport, RunReport


def router_masks(report: RunReport, experiment: str) -> list[Grid]:
    """Which routers were masked, per curve of the experiment: the first dose at which each was.

    With masks that grow from dose to dose, as orderings by usage make them, this picture is the
    ordering itself.
    """
    treated = by_dose(report, report.experiment(experiment))
    masked = [(dose, case) for dose, case in treated if masked_points(case)]
    if not masked:
        return []
    doses = sorted({dose for dose, _ in masked})
    points = [point for _, case in masked for point in masked_points(case)]
    size = (1 + max(layer for layer, _ in points), 1 + max(expert for _, expert in points))
    layers = []
    for name, members in curves(masked).items():
        first: dict[tuple[int, int], float] = {}
        for dose, case in members:
            for point in masked_points(case):
                first.setdefault(point, float(doses.index(dose)))
        layers.append(Layer(name or "all cases", filled(first, size)))
    axis = masked[0][1].dose_axis or "dose"
    short = axis.rpartition(".")[2]
    return [
        Grid(
            title="Masked routers",
            caption=f"The lowest {short} at which each router is masked. Layers and experts are "
            "counted from 0, up to the highest that any case masks.",
            rows=tuple(map(str, range(size[0]))),
            columns=tuple(map(str, range(size[1]))),
            row_axis="layer",
            column_axis="expert",
            value=f"masked from {short}",
            layers=distinct(layers),
            steps=tuple(f"{dose:g}" for dose in doses),
        )
    ]


def masked_points(case: CaseReport) -> list[tuple[int, int]]:
    """The (layer, expert) pairs that a case masked; empty for any other intervention."""
    # As the report has it, which was validated when the mask was made: [[layer, expert], ...].
    done: dict[str, Any] = case.intervention or {}
    points = done.get("points") if done.get("kind") == "router_mask" else None
    return [(layer, expert) for layer, expert in points or ()]
