"""What help comes to, drawn: a line for each trigger over share and cost, c and k as a map."""

from __future__ import annotations

import numpy as np
import pytest

import harness
from harness.report.figures.help import help_figure, help_heatmaps

SPEC = """\
name: drawn
model: zoo/base
task: {name: micro_gsm8k, limit: 12}
intervention: {kind: oracle, model: zoo/oracle, step: 4, trigger: random}
sampling: {max_new_tokens: 40}
axes:
  intervention.trigger: [{kind: every_n, n: 1}, {kind: entropy, above: 0.1}]
  intervention.budget: [0, 1, inf]
  intervention.length: [8, 2]
dose: intervention.budget
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn")
    (folder / "spec.yaml").write_text(SPEC, "utf-8")
    return harness.run(folder / "spec.yaml", directory=folder / "report", store=folder / "store")


def test_lines_are_the_points_of_the_report_and_run_from_one_model_to_the_other(report):
    figure = help_figure(report.report, "drawn")
    shares, costs = figure.axes
    assert len(report.report.help) == 4
    for panel, what, ends in ((shares, "share", (0, 1)), (costs, "cost", None)):
        solid = [line for line in panel.lines if line.get_linestyle() == "-"]
        dashed = [line for line in panel.lines if line.get_linestyle() == "--"]
        for line, each in zip(solid, report.report.help, strict=True):
            points = sorted((getattr(p, what).value, p.accuracy) for p in each.points)
            assert np.asarray(line.get_xydata()) == pytest.approx(np.array(points))
        for line in dashed:
            each = report.report.help[0]
            first, last = np.asarray(line.get_xydata())
            assert (first[1], last[1]) == (each.weak, each.strong)
            assert (first[0], last[0]) == (ends or (1, each.strong_cost))
    entries = {text.get_text() for legend in figure.legends for text in legend.get_texts()}
    said = entries | {text.get_text() for text in figure.texts}
    assert any("every_n n=1, length=8" in each for each in said), said


def test_a_map_has_the_accuracy_of_every_budget_and_length(report):
    maps = dict(help_heatmaps(report.report, "drawn"))
    assert set(maps) == {"every_n", "entropy"}
    cases = {case.id: case for case in report.report.cases}
    for trigger, figure in maps.items():
        (axes,) = figure.axes
        (image,) = axes.images
        cells = np.asarray(image.get_array())
        assert [text.get_text() for text in axes.get_xticklabels()] == ["1", "inf"]
        assert [text.get_text() for text in axes.get_yticklabels()] == ["2", "8"]
        for each in (one for one in report.report.help if one.trigger == trigger):
            for point in each.points:
                params = cases[point.case].params
                row = [2, 8].index(params["intervention.length"])
                column = [1, "inf"].index(params["intervention.budget"])
                assert cells[row, column] == point.accuracy
        shown = sorted(text.get_text() for text in axes.texts)
        assert shown == sorted(f"{value:.2f}" for value in cells.ravel())
    files = {path.name for path in (report.directory / "plots").iterdir()}
    assert files >= {"drawn-help.png", "drawn-help-every_n.png", "drawn-help-entropy.png"}
