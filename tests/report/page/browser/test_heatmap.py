"""Measurements over two coordinates."""

from __future__ import annotations

from harness.report.build import build
from tests.report.small_run import cases_of, first, masked, result_of, sweep


def test_a_mask_is_a_heatmap_that_the_keyboard_can_read(show, run):
    results = masked(sweep())
    browser = show(build(run, results), results)
    assert len(browser.texts(".heatmap .cell[role=img]")) == 8
    assert browser.texts(".heatmap .legend .key") == ["1", "2", "4", "never"]
    browser.js("document.querySelector('.heatmap .cell').focus()")
    assert browser.text("#note") == "layer 0, expert 0masked from count2"
    browser.press("ArrowRight", 3)
    browser.press("ArrowDown")
    assert browser.text("#note") == "layer 1, expert 3masked from countnever"
    browser.press("ArrowLeft")
    assert browser.text("#note") == "layer 1, expert 2masked from count1"
    browser.press("ArrowLeft", 5)
    assert browser.text("#note strong") == "layer 1, expert 0"
    # What is masked first is deepest.
    levels = browser.js(
        "[...document.querySelectorAll('.cell[role=img]')].map((e) => e.classList[1])"
    )
    assert levels == ["ramp-4", "none", "none", "ramp-0", "ramp-0", "none", "ramp-8", "none"]


def test_a_measured_grid_is_coloured_to_scale(show, run):
    axes = {"intervention.count": [0, 4], "intervention.points.random": [5, 7]}
    cases = cases_of(axes=axes, dose="intervention.count")
    results = [result_of(cases[0].baseline, first(8, 8))]
    results += [result_of(case, first(at + 1, 8), agreement=1) for at, case in enumerate(cases)]
    browser = show(build(run, results), results)
    levels = browser.js(
        "[...document.querySelectorAll('rect[role=img]')].map((e) => e.classList[1])"
    )
    assert levels == ["ramp-0", "ramp-3", "ramp-5", "ramp-8"]
    browser.mouse("rect[role=img]:last-of-type")
    assert browser.text("#note") == "count 4, random 7pass@10.50"
