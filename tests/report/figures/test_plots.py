from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import pytest

from harness.report.build import build
from harness.report.figures.dose_marks import HILL
from harness.report.figures.dose_response import dose_response
from harness.report.figures.dots import dots
from harness.report.figures.figure import GREY
from harness.report.figures.palette import COLOURS
from harness.report.figures.plots import plots
from tests.report.small_run import METRIC, called, cases_of, first, result_of, sweep


def texts(figure):
    return "\n".join(text.get_text() for text in figure.texts)


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()] if figure.legends else []


def dashed(axes):
    return [line for line in axes.lines if line.is_dashed() and line.get_label() != HILL]


def markers(axes):
    return [
        line for line in axes.lines if line.get_marker() in "osD" and len(line.get_xdata()) == 1
    ]


def test_one_figure_per_experiment(run):
    report = build(run, sweep(name="one") + sweep(name="two"))
    assert [name for name, _ in plots(report)] == ["one", "two"]


def test_one_line_per_combination_with_its_own_baseline(run):
    report = build(run, sweep(doses=(0, 1, 2, 4, 8, 16, 32)))
    figure = dose_response(report, "keep_topk")
    (axes,) = figure.axes
    assert legend(figure) == ["style=agentic", "style=assisted"]
    assert [line.get_color() for line in dashed(axes)] == list(COLOURS[:2])
    assert len(markers(axes)) == 14
    low, high = axes.get_ylim()
    assert (low <= -0.03, high) == (True, 1.03)  # lower where doses are said below the curves
    assert axes.get_ylabel() == METRIC
    assert "keep_topk" in texts(figure)
    assert "n = 12" in texts(figure)


def test_ticks_are_the_doses_and_geometric_ones_are_spaced_evenly(run):
    figure = dose_response(build(run, sweep(doses=(0, 1, 2, 4, 8))), "keep_topk")
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0", "1", "2", "4", "8"]
    assert list(axes.get_xticks()) == [0, 1, 2, 3, 4]
    assert "not to scale" in axes.get_xlabel()


def test_regular_doses_are_drawn_to_scale(run):
    (axes,) = dose_response(build(run, sweep(doses=(0, 4, 8))), "keep_topk").axes
    assert list(axes.get_xticks()) == [0, 4, 8]
    assert axes.get_xlabel() == "intervention.count"


def test_markers_stand_beside_a_dose_only_where_doses_are_no_scale_and_it_is_said(run):
    def drawn(doses):
        figure = dose_response(build(run, sweep(doses=doses)), "keep_topk")
        (axes,) = figure.axes
        return {float(line.get_xdata()[0]) for line in markers(axes)}, texts(figure), axes

    to_scale, told, axes = drawn((0, 4, 8))
    assert to_scale == {0, 4, 8}
    assert "Of markers over each other the first curve's is the largest." in told
    sizes = [line.get_markersize() for line in markers(axes)]
    assert sizes[:3] > sizes[3:] == [5.5] * 3, "none is hidden"
    by_rank, told, _ = drawn((0, 1, 2, 4, 8))
    assert len(by_rank) == 2 * 5
    assert "Curves stand side by side at each dose." in told
    alone = dose_response(build(run, sweep((0, 1, 2, 4, 8), ("agentic",))), "keep_topk")
    assert "side by side" not in texts(alone)
    assert "over each other" not in texts(alone)


def test_a_selection_is_named_below_the_title(run):
    results = [each for each in sweep() if each.case.params["prompt.style"] == "agentic"]
    dots_of = "  \N{MIDDLE DOT}  "
    told = f"n = 12{dots_of}style=agentic{dots_of}4 of 8 cases"
    assert told in texts(dose_response(build(run, results), "keep_topk"))


def test_filled_markers_are_those_that_stay_significant_after_correction(run):
    report = build(run, sweep(doses=(0, 1, 2, 4, 8), styles=("agentic",), n=20))
    figure = dose_response(report, "keep_topk")
    filled = [line.get_markerfacecolor() != "white" for line in markers(figure.axes[0])]
    versus = [case.versus_baseline[METRIC] for case in report.cases[1:]]
    assert [each.p < 0.05 for each in versus] == [False, False, False, True, True]
    assert filled == [each.p_holm < 0.05 for each in versus] == [False, False, False, False, True]
    assert "Filled: p Holm < 0.05 versus baseline." in texts(figure)


def test_a_single_line_has_no_legend(run):
    figure = dose_response(build(run, sweep(styles=("agentic",))), "keep_topk")
    assert legend(figure) == []


def test_a_baseline_that_all_lines_share_is_drawn_once_in_grey(run):
    axes = {"intervention.mode": ["keep_topk", "replace_topk"], "intervention.count": [1, 2]}
    cases = cases_of(axes=axes, dose="intervention.count")
    results = [result_of(case, first(5, 9)) for case in (cases[0].baseline, *cases)]
    (drawn,) = dose_response(build(run, results), "keep_topk").axes
    assert [line.get_color() for line in dashed(drawn)] == [GREY]


def test_a_baseline_that_changes_with_the_dose_is_a_dashed_curve(run):
    cases = cases_of(axes={"sampling.temperature": [0.5, 1.0]}, dose="sampling.temperature")
    results = [result_of(each, first(5, 9)) for c in cases for each in (c.baseline, c)]
    (drawn,) = dose_response(build(run, results), "keep_topk").axes
    (line,) = dashed(drawn)
    assert list(line.get_xdata()) == [0.5, 1.0]


def test_incomplete_cases_are_left_out_and_said_so(run, results):
    results[2] = replace(results[2], status="incomplete")
    figure = dose_response(build(run, results), "keep_topk")
    assert len(markers(figure.axes[0])) == 7
    assert "Left out: 1 of 10 cases" in texts(figure)


def test_nothing_complete_nothing_drawn(run, results):
    report = build(run, [replace(result, status="failed") for result in results])
    assert list(plots(report)) == []


def test_without_a_dose_every_case_is_a_dot(run):
    cases = cases_of(axes={"prompt.style": ["agentic", "assisted"]})
    results = [result_of(each, first(5, 9)) for c in cases for each in (c.baseline, c)]
    ((name, figure),) = plots(build(run, results))
    (axes,) = figure.axes
    assert name == "keep_topk"
    assert len(markers(axes)) == 4
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels == [
        "style=agentic, baseline",
        "style=agentic",
        "style=assisted, baseline",
        "style=assisted",
    ]


def test_values_beyond_one_are_no_rates(run):
    results = sweep(styles=("agentic",))
    results = [
        replace(r, sample_metrics={METRIC: {k: 9 * v + i for i, (k, v) in enumerate(m.items())}})
        for r in results
        for m in r.sample_metrics.values()
    ]
    (axes,) = dose_response(build(run, results), "keep_topk").axes
    assert axes.get_ylim()[1] > 1.03


@pytest.mark.parametrize(
    ("doses", "name"),
    [
        ([0], "one_dose"),
        ([0, 1, 2, 4, 8, 16, 32], "seven_doses"),
        ([10000 * dose for dose in range(18)], "many_doses"),
        ([1, 2, 4], "a_name_that_is_far_too_long_for_the_title_of_a_plot_" + "x" * 48),
    ],
)
def test_no_text_overlaps_another_or_leaves_the_page(run, doses, name):
    report = build(run, sweep(doses=doses, name=name))
    figure = dose_response(report, name)
    figure.draw_without_rendering()
    (axes,) = figure.axes
    blocks = [text.get_window_extent() for text in (*figure.texts, *axes.get_xticklabels())]
    blocks += [axes.xaxis.label.get_window_extent(), axes.yaxis.label.get_window_extent()]
    blocks += [figure.legends[0].get_window_extent()]
    page = figure.bbox
    for block in blocks:
        assert page.x0 <= block.x0
        assert block.x1 <= page.x1
        assert page.y0 <= block.y0
        assert block.y1 <= page.y1
    assert not [pair for pair in combinations(blocks, 2) if pair[0].overlaps(pair[1])]
    assert axes.get_window_extent().height > 0.5 * 4.5 * figure.dpi


def test_a_dollar_sign_is_not_mathematics(run):
    axes = {"model": ["a$b$", "c$d"]}
    results = [result_of(case, first(5, 9)) for case in cases_of(axes=axes)]
    dots(build(run, results), "keep_topk").draw_without_rendering()


def test_tool_calls_have_a_panel_of_their_own_below(run):
    results = [called(each, 3 * at) for at, each in enumerate(sweep(styles=("agentic",), n=20))]
    figure = dose_response(build(run, results), "keep_topk")
    above, below = figure.axes
    assert (above.get_ylabel(), below.get_ylabel()) == (METRIC, "tool_call")
    assert below.get_xlabel() == "intervention.count"
    assert below.get_ylim() == (-0.03, 1.03)
    drawn = [float(line.get_ydata()[0]) for line in markers(below)]
    assert drawn == [case.metrics["tool_call"].value for case in build(run, results).cases[1:]]
    assert len(dashed(above)) == len(dashed(below)) == 1
    alone = dose_response(build(run, sweep()), "keep_topk")
    assert figure.get_figheight() > alone.get_figheight() + 2


def test_more_curves_than_a_legend_names_are_one_bundle_of_thin_lines(run):
    """Drawn one by one, with intervals and baselines, a thousand curves took 15 s, and hid all."""
    axes = {"seed": list(range(41)), "intervention.count": [0, 1]}
    results = {}
    for case in cases_of("many", axes=axes, dose="intervention.count"):
        results.setdefault(case.baseline.id, result_of(case.baseline, first(11, 12)))
        results[case.id] = result_of(case, first(9, 12))
    results = list(results.values())
    figure = dose_response(build(run, results), "many")
    (axes,) = figure.axes
    (bundle,) = axes.collections
    assert len(bundle.get_segments()) == 41
    assert legend(figure) == []
    assert not axes.lines
    assert "41 curves; the page has each" in texts(figure)
