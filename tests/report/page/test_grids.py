from __future__ import annotations

from dataclasses import replace

from harness.report.build import build
from harness.report.page import grids
from harness.store.results import UsageMap
from tests.report.small_run import ORDERING, cases_of, first, masked, result_of, sweep


def test_a_mask_is_drawn_by_the_first_dose_that_has_it(run):
    (grid,) = grids(build(run, masked(sweep())), "keep_topk")
    assert (grid.row_axis, grid.column_axis) == ("layer", "expert")
    assert grid.steps == ("1", "2", "4")
    assert grid.rows == ("0", "1")
    assert grid.columns == ("0", "1", "2", "3")
    (layer,) = grid.layers
    assert layer.values == ((1.0, None, None, 2.0), (2.0, None, 0.0, None))


def test_curves_with_the_same_masks_share_a_picture_and_others_do_not(run):
    results = masked(sweep())
    (shared,) = grids(build(run, results), "keep_topk")[0].layers
    assert shared.name == "style=agentic; style=assisted"
    other = masked(sweep(), tuple(reversed(ORDERING)))
    results[5:] = other[5:]
    names = [layer.name for layer in grids(build(run, results), "keep_topk")[0].layers]
    assert names == ["style=agentic", "style=assisted"]


def test_two_numeric_axes_of_the_intervention_make_a_grid(run):
    axes = {"intervention.count": [0, 1, 2], "intervention.points.random": [5, 7]}
    results = [
        result_of(case, first(int(case.params["intervention.count"]), 4))
        for case in cases_of(axes=axes, dose="intervention.count")
    ]
    (grid,) = grids(build(run, results[:-1]), "keep_topk")
    assert (grid.row_axis, grid.column_axis) == ("count", "random")
    assert (grid.rows, grid.columns, grid.steps) == (("0", "1", "2"), ("5", "7"), ())
    (layer,) = grid.layers
    assert layer.values == ((0.0, 0.0), (0.25, 0.25), (0.5, None))


def test_measured_usage_is_a_grid_with_a_picture_for_each_ordering(run, results):
    last = UsageMap("avg_last_agentic", (1, 3), ((0.75, 0.25), (0.0, 1.0)))
    every = UsageMap("avg_all_agentic", (1, 3), ((0.5, 0.5), (0.25, 0.75)))
    results[1] = replace(results[1], usage=last)
    assert grids(build(run, results), "keep_topk")[0].title == "Router usage, avg_last_agentic"
    for at, usage in ((2, every), (3, last)):
        results[at] = replace(results[at], usage=usage)
    (grid,) = grids(build(run, results), "keep_topk")
    assert (grid.title, grid.rows, grid.columns) == ("Router usage", ("1", "3"), ("0", "1"))
    assert [(layer.name, layer.values) for layer in grid.layers] == [
        ("avg_last_agentic", last.values),
        ("avg_all_agentic", every.values),
    ]


def test_what_has_one_axis_and_no_mask_has_no_grid(run, report):
    assert grids(report, "keep_topk") == []
