"""Figures of what was traced token by token, and the numbers that they draw."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from harness.report.build import build
from harness.report.figures.traces import profiles, trace_figure, trace_images
from harness.report.written_samples import records
from harness.statistics.intervals import mean_interval
from tests.report.small_run import sweep


def line(case, sample, traces):
    return {"case": case, "sample": sample, "traces": traces}


def traced(results, of):
    """The results, every draw of an intervened case with the traces `of(case, number of draw)`."""
    found = []
    for result in results:
        if result.baseline is not None:
            draws = tuple(
                replace(draw, completion=replace(draw.completion, traces=of(result.case, number)))
                for number, draw in enumerate(result.draws)
            )
            result = replace(result, draws=draws)
        found.append(result)
    return found


def test_a_position_is_the_mean_of_the_samples_that_got_there():
    lines = [
        line("c", "one", {"alpha": [1.0, 2.0, 5.0]}),
        line("c", "two", {"alpha": [3.0, 4.0]}),
        line("c", "three", {"alpha": [2.0, 9.0]}),
        line("other", "one", {"alpha": [7.0]}),
        {"case": "none", "sample": "one"},
    ]
    found = profiles(lines)
    assert found.keys() == {"c", "other"}
    own = found["c"]["alpha"]
    assert own.means == (2.0, 5.0, 5.0)
    low, high = mean_interval([1.0, 3.0, 2.0])
    assert (own.low[0], own.high[0]) == pytest.approx((low, high))
    # One value, and values that are all the same, say nothing of their spread.
    assert np.isnan(own.low[2])
    assert np.isnan(own.high[2])


def test_doses_share_a_scale_and_numbers_of_several_kinds_do_not(run):
    results = traced(
        sweep(doses=(0, 1), n=3),
        lambda case, number: {"alpha": (2.0,), "asked entropy": (1.0,), "asked margin": (0.1,)},
    )
    figure = trace_figure(build(run, results), "keep_topk", profiles(records(results)))
    tops = {axes.get_ylabel().partition("\n")[0]: axes.get_ylim()[1] for axes in figure.axes}
    assert tops == pytest.approx({"alpha": 2.6, "asked entropy": 1.3, "asked margin": 0.13})


def test_draws_of_a_sample_count_once():
    lines = [
        line("c", "one", {"alpha": [0.0]}),
        line("c", "one", {"alpha": [1.0]}),
        line("c", "two", {"alpha": [2.0]}),
    ]
    assert profiles(lines)["c"]["alpha"].means == (1.25,)


def test_one_panel_per_trace_and_curve_and_one_line_per_case(run):
    results = traced(
        sweep(doses=(0, 1, 4), n=5),
        lambda case, number: {"alpha": (case.dose, number / 4), "beta": (1.0,)},
    )
    report = build(run, results)
    figure = trace_figure(report, "keep_topk", profiles(records(results)))
    labels = [f"{axes.get_ylabel()}\n{axes.get_title(loc='left')}" for axes in figure.axes]
    assert labels == [
        "alpha\nstyle=agentic",
        "alpha\nstyle=assisted",
        "beta\nstyle=agentic",
        "beta\nstyle=assisted",
    ]
    lines = [drawn for drawn in figure.axes[0].lines if len(drawn.get_xdata())]
    assert [list(drawn.get_ydata()) for drawn in lines] == [[0, 0.5], [1, 0.5], [4, 0.5]]
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["count = 0", "count = 1", "count = 4"]
    assert len({axes.get_ylim() for axes in figure.axes}) == 1
    assert figure.axes[-1].get_xlabel() == "generated token"


def test_experiments_without_traces_have_no_figure(run):
    plain = sweep(name="plain", n=2)
    own = traced(sweep(name="own", n=2), lambda *_: {"alpha": (1.0, 0.0)})
    images = trace_images(build(run, plain + own), records(plain + own))
    assert list(images) == ["own"]
    assert images["own"].startswith(b"\x89PNG")
