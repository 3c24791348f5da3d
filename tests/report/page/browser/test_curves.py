"""The charts: curves, or a dot for every case."""

from __future__ import annotations

from harness.report.build import build
from harness.report.labels import dose_text
from harness.report.tables.case_columns import interval
from tests.report.page.browser.parts import AGENTIC, ASSISTED, point
from tests.report.small_run import METRIC, called, cases_of, first, result_of, steered, sweep


def test_pointing_at_a_marker_shows_its_numbers(show, report, results):
    browser = show(report, results)
    browser.mouse(point(AGENTIC))
    note = browser.text("#note")
    case = next(case for case in report.cases if case.id == AGENTIC)
    versus = case.versus_baseline[METRIC]
    assert note.startswith("style=agentic, count=16")
    assert f"pass@1{interval(case.metrics[METRIC])}" in note
    assert f"p Holm{versus.p_holm:.3f}p{versus.p:.3f}" in note
    assert f"a difference of {versus.minimal_effect:.2f} or more" in note
    assert "10 worse, 0 better, 2 unchanged" in note
    browser.mouse("h1")
    assert browser.js("document.getElementById('note').hidden")


def test_the_keyboard_walks_along_a_curve_and_to_the_next(show, report, results):
    browser = show(report, results)
    browser.js("document.querySelector('.point').focus()")
    assert "count=0" in browser.text("#note strong")
    browser.press("ArrowRight", 2)
    assert browser.text("#note strong") == "style=agentic, count=2"
    browser.press("ArrowDown")
    assert browser.text("#note strong") == "style=assisted, count=2"
    browser.press("End")
    assert browser.text("#note strong") == "style=assisted, count=16"
    browser.press("Escape")
    assert browser.js("document.getElementById('note').hidden")
    assert browser.js("document.querySelectorAll('.point[tabindex=\"0\"]').length") == 1


def test_a_marker_has_its_numbers_as_its_name(show, report, results):
    browser = show(report, results)
    name = browser.js(f"document.querySelector('{point(ASSISTED)}').getAttribute('aria-label')")
    assert name.startswith("style=assisted, count=16: pass@1 0.08 [")
    assert ", against baseline \N{MINUS SIGN}0.83 [" in name


def test_filled_markers_are_significant_and_the_dotted_line_stands_where_a_curve_leaves(
    show, report, results
):
    browser = show(report, results)
    significant = browser.js(
        "[...document.querySelectorAll('.point.significant')].map((e) => e.dataset.case)"
    )
    assert significant == [AGENTIC, ASSISTED]
    assert browser.js("document.querySelectorAll('line.leaves').length") == 2


def test_rates_are_drawn_from_0_to_1_and_other_values_where_they_are(show, report, results):
    browser = show(report, results)
    assert browser.js("rangeOf([{value: 0.9, ci_low: 0.8, ci_high: 0.95}])") == [0, 1]
    low, high = browser.js("rangeOf([{value: 20, ci_low: 15, ci_high: 25}, {value: 30}])")
    assert 14 < low < 15
    assert 30 < high < 31


def test_enter_on_a_marker_leads_to_its_samples(show, report, results):
    browser = show(report, results)
    browser.js(f"document.querySelector('{point(ASSISTED)}').focus()")
    browser.press("Enter")
    browser.wait("document.querySelector('.card.marked')")
    assert browser.js("document.querySelector('.card.marked').dataset.case") == ASSISTED
    assert "series=style%3Dassisted" in browser.js("location.hash")


def test_a_bundle_of_curves_is_told_by_colour_when_few_are_left(show, run):
    axes = {"intervention.points.random": list(range(41)), "intervention.count": [0, 1]}
    cases = cases_of(axes=axes, dose="intervention.count")
    results = [result_of(cases[0].baseline, first(4, 4))]
    results += [result_of(case, first(3, 4), agreement=1) for case in cases]
    browser = show(build(run, results), results)
    assert "41 curves" in browser.text("figure .hint")
    browser.js("document.querySelector('.controls .search input').focus()")
    browser.type("random=37")
    browser.wait("document.querySelectorAll('#experiment-0 .curve.faint').length === 0")
    assert len(browser.texts("#experiment-0 .point")) == 2


def test_a_control_has_the_hue_of_its_vector_and_a_panel_is_headed_by_what_it_shows(show, run):
    results = steered({"prompt.style": ["agentic", "assisted"], "intervention.layer": [0, 1, 2]})
    browser = show(build(run, results), results)
    panels = browser.texts("[data-part=chart] h3.panel")
    assert panels == ["style=agentic", "style=assisted"]
    hues = browser.js(
        "[...document.querySelectorAll('svg .curve')]"
        ".map((each) => each.style.getPropertyValue('--hue'))"
    )
    assert len(set(hues)) == 3
    assert hues[:6:2] == hues[1:6:2]
    assert hues[:6] == hues[6:]
    dashes = browser.js(
        "[...document.querySelectorAll('svg .curve .line')]"
        ".map((each) => getComputedStyle(each).strokeDasharray)"
    )
    assert dashes[::2] == ["none"] * 6
    assert dashes[1::2] == [dashes[1]] * 6 != ["none"] * 6
    assert browser.text("figure .caption").count("Dotted curve: random control") == 1


def test_without_a_dose_every_case_is_a_dot(show, run):
    axes = {"prompt.style": ["agentic", "assisted"], "intervention.mode": ["keep_topk"]}
    results = {}
    for case in cases_of(axes=axes):
        results[case.baseline.id] = result_of(case.baseline, first(12, 12))
        results[case.id] = result_of(case, first(3, 12), agreement=1)
    found = list(results.values())
    browser = show(build(run, found), found)
    assert len(browser.texts("figure .point")) == 4
    assert len(browser.texts("figure .point.significant")) == 2
    browser.js("document.querySelector('figure .point').focus()")
    browser.press("ArrowDown")
    assert "style=agentic" in browser.text("#note strong")
    assert "2 of 2 cases differ" in browser.text("section.experiment")


def test_tool_calls_are_drawn_below_the_primary_metric(show, run):
    results = [called(each, at) for at, each in enumerate(sweep())]
    browser = show(build(run, results), results)
    axes = [text for text in browser.texts("[data-part=chart] svg .axis") if "count" not in text]
    assert axes == [METRIC, "tool_call"]
    browser.js(
        "(() => { const s = document.querySelector('[data-part=metric] select');"
        " s.value = 'tool_call'; s.dispatchEvent(new Event('change')); })()"
    )
    assert browser.texts("[data-part=chart] svg .axis").count("tool_call") == 1


def test_baselines_that_say_the_same_are_one_line(show, run):
    results = sweep(doses=(0, 1, 2), styles=("agentic", "assisted"))
    browser = show(build(run, results), results)
    (said,) = browser.texts("figure .legend .baseline")
    assert said.startswith("2 equal baselines: 0.92")
    assert len(browser.texts("figure svg .baseline")) == 1


def test_a_dose_is_said_with_four_digits_and_a_whole_number_as_it_is(show, report, results):
    browser = show(report, results)
    said = browser.js("[1 / 3, 0.000123, 12, 164000, 1234.5].map(doseText)")
    assert said == ["0.3333", "0.000123", "12", "164000", "1234.5"]
    assert [dose_text(dose) for dose in (1 / 3, 12, 164000, 1234.5)] == [
        *("0.3333", "12", "164000", "1234.5")
    ]
