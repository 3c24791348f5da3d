"""Files of forward passes beside a report, and their figures."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest
from matplotlib import image

from harness.report.build import build
from harness.report.figures.paired_plots import layer_plot, usage_heatmaps
from harness.report.measured_files import measured_files
from harness.report.recorded import recorded_results
from harness.report.write import write
from tests.report.small_run import cases_of, result_of

LAYERS, EXPERTS, SAMPLES = 3, 8, 5


@pytest.fixture
def tables():
    draw = np.random.default_rng(0)
    names = [f"{p}{n}" for p in ("", "last_") for n in ("nll_agentic", "nll_assisted", "js")]
    return {name: draw.random((SAMPLES, LAYERS)) for name in names}


@pytest.fixture
def usage():
    draw = np.random.default_rng(1)
    maps = {"layers": np.array([1, 3, 5]), "tv_mean": draw.random(LAYERS), "top_k": np.array(2)}
    for scope in ("all", "last"):
        for variant in ("agentic", "assisted"):
            maps[f"avg_{scope}_{variant}"] = draw.random((LAYERS, EXPERTS))
        difference = maps[f"avg_{scope}_agentic"] - maps[f"avg_{scope}_assisted"]
        maps[f"diff_{scope}"] = difference
        maps[f"threshold_{scope}"] = np.array(0.5)
        maps[f"thresholded_{scope}"] = np.sign(difference) * (np.abs(difference) >= 0.5)
    return maps


@pytest.fixture
def result(tmp_path, tables, usage):
    """A case of forward passes with its files."""
    folder = tmp_path / "kept" / "tables"
    folder.mkdir(parents=True)
    np.savez(folder / "layers.npz", **tables)
    np.savez(folder / "usage_maps.npz", **usage)
    (folder / "last_token_agentic_points.json").write_text("[]")
    (case,) = cases_of("forward", measure="forward", intervention=None, gates=[])
    values = result_of(case, [0.1, 0.2, 0.4])
    return replace(
        values,
        draws=(),
        metric="delta_nll",
        sample_metrics={"delta_nll": values.sample_metrics["pass@1"]},
        artefacts=str(folder),
    )


def test_a_report_has_the_files_and_figures_of_its_forward_passes(run, result, directory):
    write(build(run, [result]), [result], directory)
    written = {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()}
    assert {
        "forward/forward/layers.npz",
        "forward/forward/usage_maps.npz",
        "forward/forward/last_token_agentic_points.json",
        "plots/forward-layers.png",
        "plots/forward-usage-all.png",
        "plots/forward-usage-last.png",
        "plots/forward.png",
    } <= written
    assert image.imread(directory / "plots" / "forward-layers.png").shape[2] == 4


def test_without_the_folder_a_report_has_the_numbers_alone(run, result):
    gone = replace(result, artefacts="/nowhere/at/all")
    report = build(run, [gone])
    assert list(measured_files([gone])) == []
    assert report.cases[0].metrics["delta_nll"].n == 3


def test_records_of_a_report_that_was_moved_find_the_files_beside_it(run, result, directory):
    """As on a machine that merges or scores again what another one has run."""
    write(build(run, [result]), [result], directory)
    moved = directory.with_name("moved")
    directory.rename(moved)
    shutil.rmtree(result.artefacts)
    (found,) = recorded_results(moved)
    again = directory.with_name("again")
    write(build(run, [found]), [found], again)
    name = "forward/forward/layers.npz"
    assert (again / name).read_bytes() == (moved / name).read_bytes()
    assert (again / "plots" / "forward-layers.png").exists()


def test_lines_are_the_means_over_samples_by_layer(tables, usage):
    figure = layer_plot(tables, usage, title="t", subtitle="s")
    nll, js, tv = figure.axes
    assert [line.get_label() for line in nll.lines] == ["agentic", "assisted"]
    for line, name in zip(
        [*nll.lines, *js.lines], ("nll_agentic", "nll_assisted", "js"), strict=True
    ):
        np.testing.assert_allclose(line.get_ydata(), tables[name].mean(0))
    np.testing.assert_array_equal(tv.lines[0].get_xdata(), [1, 3, 5])


def test_without_routers_there_is_no_panel_of_routing(tables):
    assert len(layer_plot(tables, None, title="t", subtitle="s").axes) == 2


def test_one_sample_has_no_interval_and_a_plot_all_the_same(tables):
    single = {name: values[:1] for name, values in tables.items()}
    assert len(layer_plot(single, None, title="t", subtitle="s").axes) == 2


@pytest.mark.parametrize("scope", ["all", "last"])
def test_heatmaps_show_the_maps_on_scales_that_can_be_compared(usage, scope):
    figure = usage_heatmaps(usage, scope, title="t", subtitle="s")
    images = [
        axes.images[0] for axes in figure.axes if axes.images and axes.get_ylabel() == "layer"
    ]
    for shown, name in zip(images, ("avg_{}_agentic", "avg_{}_assisted", "diff_{}"), strict=True):
        np.testing.assert_array_equal(shown.get_array(), usage[name.format(scope)])
    assert images[0].get_clim() == images[1].get_clim()
    low, high = images[2].get_clim()
    assert low == -high
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["1", "3", "5"]


def test_equal_variants_have_a_heatmap_too(usage):
    same = {**usage, "diff_all": np.zeros((LAYERS, EXPERTS))}
    assert usage_heatmaps(same, "all", title="t", subtitle="s").axes
