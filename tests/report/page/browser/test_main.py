"""The page of a report as a whole, in a browser."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.report.build import build
from harness.report.load import load_report
from harness.report.report import Unjudged
from harness.spec.gates import parse_gate
from harness.store.results import Departure, GateResult, InvariantResult
from tests.report.large_run import large_run
from tests.report.page.browser.parts import EXAMPLE, TABLE
from tests.report.small_run import sweep


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
    gate = GateResult(parse_gate("pass@1 >= 0.9"), "keep_topk", holds=False, detail="0.4")
    results[2] = replace(results[2], status="failed", error="out of <b>memory</b>")
    browser = show(build(run, results, [invariant], [gate]), results)
    assert browser.texts(".verdicts .violated > summary strong") == ["Cases", "Invariants", "Gates"]
    assert browser.texts(".verdicts details[open] summary strong") == ["Invariants", "Gates"]
    assert "out of <b>memory</b>" in browser.text(".attention .serious")
    assert browser.texts(".unfinished td:nth-child(3)") == ["failed"]
    assert "Left out: 1 case" in browser.text("figure .caption")


def test_what_nothing_decided_is_not_called_violated(show, run, results):
    gate = GateResult(
        parse_gate("pass@1 >= 0.9"), "keep_topk", holds=False, detail="undecided: too few"
    )
    law = InvariantResult("law.one", "tiny, fast", holds=False, detail="undecided: no tokens")
    waiting = Unjudged(gate="pass@1 > 0", experiment="keep_topk", needs="the whole grid")
    report = build(run, results, [law], [gate]).model_copy(update={"unjudged": (waiting,)})
    browser = show(report, results)
    assert browser.texts(".violated") == []
    assert browser.texts(".verdicts .undecided > summary")[-1] == (
        "? Gates 1 of 1 undecided, 1 not judged"
    )
    assert "needs the whole grid" in browser.text(".verdicts li.unchecked")
    assert browser.texts(".identities summary.undecided") == ["? law 1 of 1 undecided"]


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


def test_a_print_fits_its_sheet(example):
    """A sheet has no scrollbar: buttons in a table are as small as its cells."""
    example.size(794, 1123)
    example.call("Emulation.setEmulatedMedia", media="print")
    try:
        assert example.js("document.documentElement.scrollWidth <= innerWidth")
        size = "getComputedStyle(document.querySelector('.cases {}')).fontSize"
        sizes = {example.js(size.format(place)) for place in ("td", "thead button", ".disclosure")}
        assert sizes == {"10px"}
    finally:
        example.call("Emulation.setEmulatedMedia", media="")


def test_what_a_reader_can_reach_has_a_name_that_is_read_aloud(example):
    """By the browser's own tree of accessible names, which screen readers are told."""
    nodes = example.call("Accessibility.getFullAXTree")["nodes"]
    told = {"button", "link", "combobox", "textbox", "searchbox", "listbox", "option", "image"}
    told |= {"graphics-symbol", "img", "tab", "checkbox", "slider", "switch", "figure", "table"}
    reached = [
        node
        for node in nodes
        if not node["ignored"]
        and (
            node["role"]["value"] in told
            or any(each["name"] == "focusable" for each in node.get("properties", ()))
        )
    ]
    assert len(reached) > 200
    names = [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in reached]
    assert [role for role, name in names if not name.strip()] == []


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


@pytest.mark.slow
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
