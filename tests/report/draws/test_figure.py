"""Figures of draws: what differences are from, and how many curves are told apart."""

from __future__ import annotations

from harness.report.draws.curves import drawings
from harness.report.draws.drawn import of_records
from harness.report.draws.figure import drawing_figure
from tests.report.draws.records import lines

DOSES = ("0.5", "1", "1.5", "2")
RULES = ("none", "min_p", "top_p", "both")
#: Each compared with the lowest dose of its rule.
BASELINES = {f"{rule} {dose}": f"{rule} 0.5" for rule in RULES for dose in DOSES[1:]}


def drawing(names, baselines):
    records = [each for name in names for each in lines(name, [["7", "8", "7"], [None, "8", "7"]])]
    return drawings(of_records(records), baselines)[0]


def test_an_axis_names_the_baseline_that_all_are_compared_with():
    of_one = drawing(["a", "b", "c"], {"b": "a", "c": "a"})
    assert [axes.get_ylabel() for axes in drawing_figure(of_one, "", "").axes][1] == "minus a"
    of_two = drawing(["a", "b", "c", "d"], {"b": "a", "d": "c"})
    assert of_two.baseline == ""
    label = drawing_figure(of_two, "", "").axes[1].get_ylabel()
    assert label == "minus the own baseline"


def test_too_many_curves_for_a_panel_have_one_for_each_setting():
    names = [f"{rule} {dose}" for rule in RULES for dose in DOSES]
    groups = {rule: {dose: f"{rule} {dose}" for dose in DOSES} for rule in RULES}
    panels = drawing_figure(drawing(names, BASELINES), "", "", groups).axes
    assert [axes.get_title("left") for axes in panels] == [*RULES]
    assert len({axes.get_ylim() for axes in panels}) == 1
    (legend,) = panels[0].figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [*DOSES]
    # Few curves stay in one panel, whatever they are grouped by.
    few = drawing(names[:8], BASELINES)
    assert len(drawing_figure(few, "", "", groups).axes) == 2
