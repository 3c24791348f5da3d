"""The page in a real browser: what a reader sees, points at, types and chooses."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from harness.engines.base import Completion
from harness.reporting import build, load_report
from harness.reporting.load import sample_records
from harness.reporting.rounding import ceiling, fixed, percent
from harness.reporting.statistics import Metric
from harness.reporting.terminal import interval
from harness.runs.results import Departure, GateResult, InvariantResult

from .large_run import large_run
from .small_run import METRIC, called, cases_of, first, masked, result_of, steered, sweep

EXAMPLE = Path(__file__).parents[2] / "reports" / "example"
TABLE = ".cases tbody tr"
AGENTIC, ASSISTED = "keep_topk[style=agentic-count=16]", "keep_topk[style=assisted-count=16]"


def point(case):
    return f'.point[data-case="{case}"]'


def column(browser, number):
    return browser.texts(f"{TABLE} > :nth-child({number})")


def common(one, other):
    """The equal beginning of two texts."""
    ends = (at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
    return one[: next(ends, min(len(one), len(other)))]


def completed(result, texts):
    """The result with these texts and as many tokens as they have words."""
    draws = []
    for draw, text in zip(result.draws, texts, strict=True):
        completion = Completion(tuple(map(hash, text.split())), text, "stop")
        draws.append(replace(draw, completion=completion))
    return replace(result, draws=tuple(draws))


@pytest.fixture
def results():
    """With doses enough that the last one's difference survives the correction."""
    return sweep(doses=(0, 1, 2, 4, 8, 16))


@pytest.fixture
def example(show):
    """The report of a real run: router masks on zoo/moe, all 164 problems in both styles."""
    return show(load_report(EXAMPLE), sample_records(EXAMPLE))


# The whole page -----------------------------------------------------------------------------------


def test_a_real_run_loads_asks_for_nothing_and_shows_its_findings(example):
    report = load_report(EXAMPLE)
    assert example.texts("h1") == ["keep_topk"]
    assert len(example.texts(TABLE)) == len(report.cases)
    assert len(example.texts("#experiment-0 .point")) == len(report.cases) - len(report.baselines)
    assert example.texts(".findings tbody th") == ["style=agentic", "style=assisted"]
    assert example.texts(".verdicts summary strong") == ["Cases", "Invariants", "Gates", "Run"]
    assert len(example.texts(".list li")) == 164


def test_it_is_dark_when_the_system_is_and_when_the_reader_says_so(example):
    paper = "getComputedStyle(document.body).backgroundColor"
    light = example.js(paper)
    example.prefer("dark")
    dark = example.js(paper)
    assert light != dark
    example.prefer("light")
    example.mouse("#theme", click=True)
    example.mouse("#theme", click=True)
    assert example.text("#theme") == "Theme: dark"
    assert example.js(paper) == dark
    example.mouse("#theme", click=True)
    assert example.js(paper) == light


def test_what_was_violated_is_open_and_first(show, run, results):
    case = results[1].case.id
    invariant = InvariantResult("neutral_equals_baseline", case, holds=False, detail="at token 3")
    gate = GateResult("pass@1 >= 0.9", "keep_topk", holds=False, detail="0.4")
    results[2] = replace(results[2], status="failed", error="out of <b>memory</b>")
    browser = show(build(run, results, [invariant], [gate]), results)
    assert browser.texts(".verdicts .violated > summary strong") == ["Cases", "Invariants", "Gates"]
    assert browser.texts(".verdicts details[open] summary strong") == ["Invariants", "Gates"]
    assert "out of <b>memory</b>" in browser.text(".attention .serious")
    assert browser.texts(".unfinished td:nth-child(3)") == ["failed"]
    assert "Left out: 1 case" in browser.text("figure .caption")


def identities():
    """Three families on two models; three of their checks are violated."""
    gap = Departure("prompt 1 (router_mask 12ab)", 3, 17, 42, -0.25)
    end = Departure("prompt 0 (steering 34cd)", 1, None, 8, None)
    near = Departure("prompt 0", 0, 8, 8, 0.5)
    return [
        InvariantResult("engine.order_is_irrelevant", "zoo/moe, transformers fast", True, "equal"),
        InvariantResult(
            "router_mask.points_are_a_set", "zoo/moe, transformers fast", True, "equal"
        ),
        InvariantResult(
            "router_mask.doses_are_nested", "tiny/olmoe, transformers strict", False, "1 of 4", gap
        ),
        InvariantResult(
            "steering.doses_add_up", "zoo/moe, transformers fast", False, "2 of 4", end
        ),
        InvariantResult("steering.doses_add_up", "tiny/olmoe, transformers fast", True, "equal"),
        InvariantResult(
            "steering.doses_add_up", "tiny/olmoe, transformers strict", False, "x", near
        ),
    ]


def rows(browser):
    return browser.texts(".identities tbody tr:not([hidden]) th")


def test_a_run_of_identities_alone_is_a_table_with_the_violated_ones_first(show, run):
    browser = show(build(run, [], identities()), [])
    assert browser.texts(".identities summary strong") == ["router_mask", "steering", "engine"]
    assert rows(browser) == [
        "doses are nested",
        "points are a set",
        *["doses add up"] * 3,
        "order is irrelevant",
    ]
    assert browser.texts(".identities tr.violated td:nth-child(n+6)") == [
        "prompt 1 (router_mask 12ab), token 3: 17 instead of 42",
        "\N{MINUS SIGN}0.25",
        "prompt 0 (steering 34cd), token 1: the end instead of 8",
        "",
        "prompt 0, token 0: 8, as expected",
        "+0.5",
    ]
    assert browser.js("[...document.querySelectorAll('.identities details')].every((d) => d.open)")
    assert browser.texts(".empty") == []
    assert browser.texts(".verdicts .violated > summary") == ["✗ Invariants 3 of 6 violated"]


def test_identities_are_filtered_by_family_model_status_and_words(show, run):
    browser = show(build(run, [], identities()), [])

    def choose(name, value):
        browser.js(
            f"(() => {{ const label = [...document.querySelectorAll('.identities label')].find("
            f"(l) => l.textContent.startsWith({name!r})); const s = label.querySelector('select'); "
            f"s.value = {value!r}; s.dispatchEvent(new Event('change')); }})()"
        )

    choose("status", "violated")
    assert rows(browser) == ["doses are nested", "doses add up", "doses add up"]
    assert browser.text(".identities .count") == "3 of 6 checks"
    choose("model", "zoo/moe")
    assert rows(browser) == ["doses add up"]
    choose("status", "")
    choose("family", "router_mask")
    assert rows(browser) == ["points are a set"]
    choose("family", "")
    choose("model", "")
    browser.js("document.querySelector('.identities input').focus()")
    browser.type("nested")
    assert rows(browser) == ["doses are nested"]


def test_identities_beside_cases_are_open_where_they_are_violated(show, run, results):
    browser = show(build(run, results, identities()), results)
    assert browser.texts(".identities details[open] strong") == ["router_mask", "steering"]


def test_a_narrow_window_scrolls_only_inside_its_tables(example):
    example.size(400, 800)
    example.wait("document.querySelector('figure svg').clientWidth < 400")
    assert example.js("document.documentElement.scrollWidth <= innerWidth")


def test_several_experiments_are_shown_one_at_a_time(show, run):
    results = sweep(name="one") + sweep(name="two")
    browser = show(build(run, results), results)
    visible = "[...document.querySelectorAll('section.experiment')].map((s) => !s.hidden)"
    assert browser.js(visible) == [True, False]
    browser.mouse("nav a:nth-child(2)", click=True)
    browser.wait("document.querySelectorAll('#experiment-1 .list li').length === 12")
    assert browser.js(visible) == [False, True]
    assert browser.texts("nav a[aria-current]") == ["two"]


def test_an_empty_report_is_a_page(show, report):
    browser = show(report.model_copy(update={"cases": ()}), [])
    assert browser.texts(".empty") == ["This report has no cases."]


def test_a_report_without_samples_says_so(show, report):
    browser = show(report, [])
    assert browser.texts("[data-part=samples]") == ["This report has no samples to compare."]


# Curves -------------------------------------------------------------------------------------------


def test_pointing_at_a_marker_shows_its_numbers(show, report, results):
    browser = show(report, results)
    browser.mouse(point(AGENTIC))
    note = browser.text("#note")
    case = next(case for case in report.cases if case.id == AGENTIC)
    versus = case.versus_baseline[METRIC]
    assert note.startswith("style=agentic, count=16")
    assert f"pass@1{interval(case.metrics[METRIC])}" in note
    assert f"p{versus.p:.3f}p (Holm){versus.p_holm:.3f}" in note
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


def test_the_page_rounds_as_the_terminal_does(show, report, results):
    browser = show(report, results)
    draw = random.Random(0)
    values = [eighths / 8 for eighths in range(-8, 80)] + [draw.uniform(-9, 9) for _ in range(200)]
    for value, shown in zip(values, browser.js(f"{values}.map(decimal)"), strict=True):
        assert shown == fixed(value, 2).replace("-", "\N{MINUS SIGN}")
    shares = [at / 200 for at in range(201)]
    assert browser.js(f"{shares}.map(percent)") == [f"{percent(share)} %" for share in shares]
    effects = [*shares, *(abs(value) for value in values)]
    assert browser.js(f"{effects}.map(ceiling)") == [ceiling(effect) for effect in effects]


@pytest.mark.parametrize("value", [0.0625, 0.0012345, -0.08, 0.0999999, 0.1, 2.5])
def test_a_mean_has_the_digits_of_the_terminal(show, report, results, value):
    metric = Metric(value=value, ci_low=value - 1, ci_high=value + 1, n=9, method="t")
    browser = show(report, results)
    shown = browser.js(f"valued({metric.model_dump_json()})")
    assert shown.replace("\N{MINUS SIGN}", "-") == interval(metric)


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


# The table ----------------------------------------------------------------------------------------


def test_headers_sort_up_then_down_then_not_and_the_chart_does_not_mind(show, report, results):
    browser = show(report, results)
    written = column(browser, 3)
    header = ".cases thead th:nth-child(3) button"
    browser.mouse(header, click=True)
    up = [float(text.split()[0]) for text in column(browser, 3)]
    assert up == sorted(up)
    assert up != [float(text.split()[0]) for text in written]
    order = "document.querySelector('.cases thead th:nth-child(3)').getAttribute('aria-sort')"
    assert browser.js(order) == "ascending"
    browser.press("Enter")
    down = [float(text.split()[0]) for text in column(browser, 3)]
    assert down == sorted(down, reverse=True)
    browser.press("Enter")
    assert column(browser, 3) == written
    assert browser.js(order) == "none"


def test_parameters_sort_as_numbers(show, run):
    results = sweep(doses=(10, 9, 100), styles=("agentic",))
    browser = show(build(run, results), results)
    browser.mouse(".cases thead th:nth-child(1) button", click=True)
    assert column(browser, 1) == ["9", "10", "100", "baseline"]


def test_other_metrics_have_columns_that_sort(show, run):
    results = [called(each, at) for at, each in enumerate(sweep(styles=("agentic",)))]
    browser = show(build(run, results), results)
    heads = browser.texts(".cases thead th")
    assert heads.count("tool_call") == 1
    column = heads.index("tool_call") + 1
    cells = f"{TABLE} > :nth-child({column})"
    assert browser.texts(cells) == ["0.00", "0.08", "0.17", "0.25", "0.33"]
    for _ in range(2):
        browser.js(f"document.querySelector('.cases thead th:nth-child({column}) button').click()")
    assert browser.texts(cells) == ["0.33", "0.25", "0.17", "0.08", "0.00"]


def test_words_and_parameters_filter_table_and_chart(show, report, results):
    browser = show(report, results)
    browser.js("document.querySelector('.controls .search input').focus()")
    browser.type("agentic count=4")
    assert browser.text(".controls .count") == "1 of 14 cases"
    assert len(browser.texts("#experiment-0 .point")) == 1
    browser.js("document.querySelector('.controls .search input').select()")
    browser.type("nothing like it")
    assert browser.texts(TABLE) == ["No case matches."]
    assert "No complete case" in browser.text("figure")


def test_a_parameter_keeps_the_baselines_of_its_cases(show, report, results):
    browser = show(report, results)
    browser.js(
        "(() => { const s = document.querySelectorAll('[data-part=cases] select')[0];"
        " s.value = '=assisted'; s.dispatchEvent(new Event('change')); })()"
    )
    assert set(column(browser, 1)) == {"assisted"}
    assert column(browser, 2) == ["baseline", "0", "1", "2", "4", "8", "16"]
    browser.js(
        "(() => { const s = document.querySelectorAll('[data-part=cases] select')[1];"
        " s.value = '=8'; s.dispatchEvent(new Event('change')); })()"
    )
    assert column(browser, 2) == ["baseline", "8"]


def test_numbers_of_another_metric_lead_to_no_samples(show, run):
    results = [
        replace(each, sample_metrics={**each.sample_metrics, "parsed": each.sample_metrics[METRIC]})
        for each in sweep()
    ]
    browser = show(build(run, results), results)
    assert len(browser.texts(".cases a")) == 6
    browser.js(
        "(() => { const s = document.querySelector('[data-part=metric] select');"
        " s.value = 'parsed'; s.dispatchEvent(new Event('change')); })()"
    )
    assert browser.texts(".cases a") == []
    assert browser.texts(".cases thead button")[2] == "parsed"
    assert browser.text("svg .axis") == "parsed"


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


def test_a_row_opens_its_details_with_the_keyboard(show, run, results):
    results[2] = replace(results[2], warnings=("3 of 12 were cut off",))
    browser = show(build(run, results), results)
    browser.js("document.querySelectorAll('.disclosure')[2].focus()")
    browser.press("Enter")
    details = browser.text("tr.details")
    assert "benches/bench_x.py::bench[keep_topk[style=agentic-count=1]]" in details
    assert "3 of 12 were cut off" in details
    assert "mcnemar exact" in details
    browser.press("Enter")
    assert browser.texts("tr.details") == []


# Heatmaps -----------------------------------------------------------------------------------------


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


# Samples ------------------------------------------------------------------------------------------


def test_the_samples_that_broke_are_found_and_read_side_by_side(example):
    report = load_report(EXAMPLE)
    case = max(
        (case for case in report.cases if case.baseline is not None),
        key=lambda case: case.versus_baseline["pass@1"].worse,
    )
    worse = case.versus_baseline["pass@1"].worse
    assert worse > 0
    row = f'.cases tr[data-case="{case.id}"]'
    example.mouse(f"{row} a", click=True)
    example.wait(f"document.querySelectorAll('.list li').length === {worse}")
    example.wait("document.querySelector('.card.marked .change.worse')")
    lines = {(line["case"], line["sample"]): line for line in sample_records(EXAMPLE)}
    sample = example.text(".sample h4")
    own, base = lines[case.id, sample], lines[case.baseline, sample]
    assert (own["correct"], base["correct"]) == (False, True)
    assert example.text(".prompt pre") == base["prompt"]
    assert example.text(".card.baseline pre") == base["completion"]
    shared = len(common(own["completion"], base["completion"]))
    assert example.text(".card.marked pre .equal") == own["completion"][:shared]
    mark = example.text(".card.marked mark")
    assert mark.removeprefix("↵") == own["completion"][shared : shared + 1]
    words = example.text(".card.marked .departs")
    assert words == (f"departs after {shared} equal characters ({own['agreement']} equal tokens)")
    assert len(example.texts(".card")) == 1 + len(
        [each for each in report.cases if each.baseline == case.baseline]
    )


def departures(show, run, ours, theirs):
    """The words and the marked text of each sample, given pairs of texts."""
    case = cases_of()[0]
    base = completed(result_of(case.baseline, first(0, len(theirs))), theirs)
    own = completed(result_of(case, first(0, len(ours)), agreement=0), ours)
    agreements = []
    for draw, reference in zip(own.draws, base.draws, strict=True):
        pairs = zip(draw.completion.tokens, reference.completion.tokens, strict=False)
        agreements.append(next((at for at, (a, b) in enumerate(pairs) if a != b), None))
    own = replace(
        own,
        draws=tuple(
            replace(
                draw,
                agreement=min(len(draw.completion.tokens), len(reference.completion.tokens))
                if at is None
                else at,
            )
            for draw, reference, at in zip(own.draws, base.draws, agreements, strict=True)
        ),
    )
    browser = show(build(run, [base, own]), [base, own])
    browser.js("document.querySelector('.list').focus()")
    found = []
    for at in range(len(ours)):
        browser.wait(f"document.querySelector('.sample h4')?.textContent === 's/{at}'")
        words = browser.text(".card:not(.baseline) .departs")
        found.append((words, browser.texts(".card:not(.baseline) mark")))
        browser.press("ArrowDown")
    return found


def test_the_first_departure_is_marked_and_told_exactly(show, run):
    pairs = [
        ("return x + 1", "return x + 1"),
        ("return x - 1", "return x + 1"),
        ("return", "return x"),
        ("return x y", "return x"),
        ("a\nb", "a b"),
        ("", "text"),
        ("return  x", "return x"),
    ]
    ours, theirs = zip(*pairs, strict=True)
    assert departures(show, run, ours, theirs) == [
        ("equal, token for token", []),
        ("departs after 9 equal characters (2 equal tokens)", ["-"]),
        ("ends after 6 equal characters (1 equal token); the baseline goes on", ["∎"]),
        ("goes on after 8 equal characters (2 equal tokens), where the baseline ends", [" "]),
        ("departs after 1 equal character (2 equal tokens)", ["↵\n"]),
        ("ends after 0 equal characters (0 equal tokens); the baseline goes on", ["∎"]),
        ("departs after 7 equal characters (2 equal tokens)", [" "]),
    ]


def test_equal_texts_of_other_tokens_or_another_end_are_not_called_equal(show, run):
    case = cases_of()[0]
    base = result_of(case.baseline, first(3, 3))
    own = result_of(case, first(3, 3), tokens=(1, 2, 9), agreement=2)
    cut = replace(own.draws[1].completion, tokens=(1, 2, 3, 4), finish_reason="length")
    short = replace(own.draws[2].completion, tokens=(1, 2, 3))
    own = replace(
        own,
        draws=(
            own.draws[0],
            replace(own.draws[1], completion=cut, agreement=4),
            replace(own.draws[2], completion=short, agreement=3),
        ),
    )
    browser = show(build(run, [base, own]), [base, own])
    assert browser.text(".card:not(.baseline) .departs") == (
        "same text, other tokens after the first 2"
    )
    browser.js("document.querySelector('.list').focus()")
    browser.press("ArrowDown")
    browser.wait("document.querySelector('.sample h4').textContent === 's/1'")
    assert browser.text(".card:not(.baseline) .departs") == (
        "same text; ended by length, the baseline by stop"
    )
    browser.press("End")
    browser.wait("document.querySelector('.sample h4').textContent === 's/2'")
    assert browser.text(".card:not(.baseline) .departs") == (
        "same text, other tokens after the first 3"
    )


def test_common_beginnings_never_split_a_character(show, report, results):
    browser = show(report, results)
    generator = random.Random(0)
    for _ in range(200):
        one, other = ("".join(generator.choices("a😀😁é", k=generator.randrange(6))) for _ in "12")
        length = browser.js(f"commonLength({one!r}, {other!r})")
        assert length == len(common(one, other).encode("utf-16-le")) // 2, (one, other)


def test_the_list_is_walked_filtered_and_linked_to(show, report, results):
    browser = show(report, results)
    browser.js("document.querySelector('.list').focus()")
    browser.press("Home")
    browser.press("ArrowDown", 2)
    browser.wait("document.querySelector('.sample h4').textContent === 's/2'")
    assert (
        browser.js("document.querySelector('.list [aria-selected=true]').dataset.sample") == "s/2"
    )
    assert "sample=s%2F2" in browser.js("location.hash")
    browser.js(
        "(() => { const s = document.querySelectorAll('.samples select')[1];"
        " s.value = 'worse'; s.dispatchEvent(new Event('change')); })()"
    )
    # Of 12 samples, 11 right in the baseline, the largest dose loses ten.
    assert browser.text(".samples .count") == "10 of 12 samples"
    browser.js("document.querySelector('.samples .search input').focus()")
    browser.type("S/9")
    assert browser.texts(".list .name") == ["s/9"]


def test_a_link_leads_to_its_sample_even_where_a_filter_hides_it(show, report, results):
    fragment = "#experiment=keep_topk&series=style%3Dassisted&show=worse&sample=s%2F11"
    browser = show(report, results, fragment)
    browser.wait("document.querySelector('.sample h4').textContent === 's/11'")
    assert browser.texts(".card h5") == [
        "baseline",
        "count = 0",
        "count = 1",
        "count = 2",
        "count = 4",
        "count = 8",
        "count = 16",
    ]


@pytest.mark.parametrize(
    "fragment", ["#experiment=no", "#sample=no&show=no&at=no&series=no&draw=x", "#%", "#<b>"]
)
def test_a_link_that_leads_nowhere_shows_the_report(show, report, results, fragment):
    browser = show(report, results, fragment)
    assert len(browser.texts(".list li")) == 12
    assert browser.text(".sample h4") == "s/1"


def test_a_case_without_its_baseline_is_shown_uncompared(show, run):
    results = [result_of(cases_of()[0], first(1, 2))]
    browser = show(build(run, results), results)
    assert browser.texts(".card h5") == ["keep_topk"]
    assert browser.texts(".card .departs, .card mark, .card .change") == []
    name = browser.js("document.querySelector('.list li').getAttribute('aria-label')")
    assert name == "s/0: not compared"


def test_draws_are_shown_one_at_a_time(show, run):
    case = cases_of()[0]
    base, own = result_of(case.baseline, first(1, 1)), result_of(case, first(1, 1), agreement=4)

    def doubled(result, texts):
        (draw,) = result.draws
        return replace(
            result,
            draws=tuple(
                replace(draw, draw=at, completion=replace(draw.completion, text=text))
                for at, text in enumerate(texts)
            ),
        )

    results = [doubled(base, ("one", "two")), doubled(own, ("one", "twice"))]
    browser = show(build(run, results), results, "#sample=s%2F0&draw=1")
    assert browser.text(".card:not(.baseline) pre") == "twice"
    browser.js(
        "(() => { const s = document.querySelector('.sample select');"
        " s.value = '0'; s.dispatchEvent(new Event('change')); })()"
    )
    browser.wait("document.querySelector('.card:not(.baseline) pre').textContent === 'one'")


def test_hostile_completions_are_text(show, run):
    hostile = (
        "</script><script>document.title = 'owned'</script>"
        "<img src=x onerror=\"document.title='owned'\">"
        "\0\x1b[31m\u202egnp.exe\ud800\u2028end\r\n" + "{{ 7 * 7 }}"
    )
    long = "line " * 200_000
    case = cases_of(name="keep_topk")[0]
    base = completed(result_of(case.baseline, first(2, 2)), [hostile + "x", long + "one"])
    own = completed(result_of(case, first(0, 2), agreement=1), [hostile + "y", long + "two"])
    browser = show(build(run, [base, own]), [base, own])
    text = browser.text(".card.baseline pre")
    assert text.startswith("</script><script>document.title = 'owned'</script><img src=x")
    assert "␀␛[31mU+202Egnp.exeU+D800U+2028end␍\n{{ 7 * 7 }}x" in text
    assert browser.texts(".card mark") == ["y"]
    assert browser.js("document.title") == "keep_topk · Titrate"
    browser.js("document.querySelector('.list').focus()")
    browser.press("End")
    browser.wait("document.querySelector('.sample h4').textContent === 's/1'")
    # Of a million characters the departure is shown with what leads to it.
    assert browser.texts(".card mark") == ["t"]
    shown = len(browser.text(".card:not(.baseline) pre"))
    assert shown < 10_000
    browser.mouse(".card:not(.baseline) .unfold", click=True)
    assert len(browser.text(".card:not(.baseline) pre")) == 1_000_003


# Size ---------------------------------------------------------------------------------------------


def test_a_thousand_cases_and_a_hundred_thousand_samples(browser, show):
    report, lines = large_run()
    page = show(report, lines)
    assert len(page.texts(TABLE)) == 1025
    assert len(page.texts("#experiment-0 .point")) == 1000
    assert len(page.texts(".list li")) == 100
    assert page.text(".sample h4") == "sample/0"
    assert len(page.texts(".card")) == 24
    page.mouse(".samples .browser + button, .sample > button", click=True)
    assert len(page.texts(".card")) == 41
    # Only what was looked at has been unpacked: an index and a chunk.
    assert page.js("unpacked.size") == 2
    assert page.js("document.querySelectorAll('[id^=chunk-]').length") >= 20


def test_what_was_traced_is_drawn_under_its_completion(show, run):
    results = sweep(doses=(0, 1), styles=("agentic",), n=2)
    doses = (0.0, 0.5, 2.0)
    traced = tuple(
        replace(draw, completion=replace(draw.completion, traces={"alpha <styles>": doses}))
        for draw in results[-1].draws
    )
    results[-1] = replace(results[-1], draws=traced)
    browser = show(build(run, results), results)
    browser.wait("document.querySelector('.card .trace')")
    heights = (
        "[...document.querySelectorAll('.trace rect')].map((bar) => +bar.getAttribute('height'))"
    )
    assert browser.js(heights) == [0.5, 6, 24]
    assert browser.texts(".traced .said") == ["alpha <styles>, up to 2.00"]
    label = "document.querySelector('.trace').getAttribute('aria-label')"
    assert browser.js(label) == "alpha <styles>: 0.00 0.50 2.00"
    assert browser.js("document.querySelector('.trace title').textContent") == "token 1: 0.000"
