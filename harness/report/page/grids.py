"""What an experiment measured over two coordinates, as heatmaps: layer x expert, bin x rank.

Readers find grids in the cases of an experiment; a kind of intervention brings those of its own.
The page draws any `Grid`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness import registry
from harness.interventions.kind import kind_of
from harness.report.labels import label, short_names, text, varying
from harness.report.report import CaseReport, RunReport
from harness.spec.doses import number_of


@dataclass(frozen=True)
class Layer:
    """One picture of a grid: values by row and column, None where there is none."""

    name: str
    values: tuple[tuple[float | None, ...], ...]


@dataclass(frozen=True)
class Grid:
    """Layers over the same rows and columns, of which the page shows one at a time.

    Values stand for themselves and are coloured from the lowest to the highest of all layers, or
    are positions in `steps`, which name them.
    """

    title: str
    caption: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    row_axis: str
    column_axis: str
    value: str
    layers: tuple[Layer, ...]
    steps: tuple[str, ...] = ()


Reader = Callable[[RunReport, str], list[Grid]]


def grids(report: RunReport, experiment: str) -> list[Grid]:
    """Every grid of an experiment."""
    kinds = map(kind_of, registry.interventions.names())
    readers: list[Reader] = [reader for kind in kinds for reader in kind.grids]
    readers += [router_usage, two_axes]
    return [grid for read in readers for grid in read(report, experiment)]


def router_usage(report: RunReport, experiment: str) -> list[Grid]:
    """The measured usage behind an experiment's orderings of routers, layer by expert."""
    usages = [case.usage for case in report.experiment(experiment) if case.usage is not None]
    if not usages:
        return []
    layers = tuple(sorted({layer for usage in usages for layer in usage.layers}))
    experts = max(len(row) for usage in usages for row in usage.values)
    pictures: dict[Layer, None] = {}
    for usage in usages:
        cells = {
            (layers.index(layer), expert): value
            for layer, row in zip(usage.layers, usage.values, strict=True)
            for expert, value in enumerate(row)
        }
        pictures[Layer(usage.expression, filled(cells, (len(layers), experts)))] = None
    only = f", {usages[0].expression}" if len(pictures) == 1 else ""
    return [
        Grid(
            title=f"Router usage{only}",
            caption="As it was measured, untouched, to order the routers: each expert's share of "
            "its layer's top-k weights, or the difference of two such averages. Layers and experts "
            "are counted from 0.",
            rows=tuple(map(str, layers)),
            columns=tuple(map(str, range(experts))),
            row_axis="layer",
            column_axis="expert",
            value="usage",
            layers=tuple(pictures),
        )
    ]


def two_axes(report: RunReport, experiment: str) -> list[Grid]:
    """The primary metric over two numeric axes of the intervention, such as bin x rank."""
    baselines = report.baselines
    treated = [
        case
        for case in report.experiment(experiment)
        if case.id not in baselines and case.metric in case.metrics
    ]
    axes = [axis for axis in varying(treated) if axis.startswith("intervention.")]
    numeric = [
        axis
        for axis in axes
        if all(number_of(case.params.get(axis)) is not None for case in treated)
    ]
    if len(numeric) < 2:
        return []
    *_, row_axis, column_axis = numeric
    places = {axis: sorted({_number(case, axis) for case in treated}) for axis in numeric}
    rows, columns = places[row_axis], places[column_axis]
    others = {
        axis: name for axis, name in varying(treated).items() if axis not in (row_axis, column_axis)
    }
    values: dict[str, dict[tuple[int, int], float]] = {}
    for case in treated:
        at = (rows.index(_number(case, row_axis)), columns.index(_number(case, column_axis)))
        layer = values.setdefault(label(case.params, others), {})
        layer[at] = case.metrics[case.metric].value
    names = short_names((row_axis, column_axis))
    return [
        Grid(
            title=f"{names[row_axis]} x {names[column_axis]}",
            caption=f"{treated[0].metric} of each combination; empty where no case is complete.",
            rows=tuple(map(text, rows)),
            columns=tuple(map(text, columns)),
            row_axis=names[row_axis],
            column_axis=names[column_axis],
            value=treated[0].metric,
            layers=tuple(
                Layer(name or "all cases", filled(cells, (len(rows), len(columns))))
                for name, cells in sorted(values.items())
            ),
        )
    ]


def filled(
    cells: dict[tuple[int, int], float], size: tuple[int, int]
) -> tuple[tuple[float | None, ...], ...]:
    """Values by row and column, None where there is none."""
    return tuple(tuple(cells.get((r, c)) for c in range(size[1])) for r in range(size[0]))


def distinct(layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """Curves whose pictures are the same share one: styles are usually masked alike."""
    names: dict[tuple[tuple[float | None, ...], ...], list[str]] = {}
    for layer in layers:
        names.setdefault(layer.values, []).append(layer.name)
    return tuple(Layer("; ".join(shared), values) for values, shared in names.items())


def _number(case: CaseReport, axis: str) -> float:
    number = number_of(case.params[axis])
    assert number is not None, "the axis is numeric"
    return number
