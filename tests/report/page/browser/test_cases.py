"""The table of cases."""

from __future__ import annotations

from dataclasses import replace

from harness.report.build import build
from tests.report.page.browser.parts import TABLE, column
from tests.report.small_run import METRIC, called, measured, sweep


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


def test_samples_of_a_loss_are_worse_where_they_rose_and_others_only_rise_and_fall(show, run):
    base, case = measured(0.2)
    deltas = {**case.sample_metrics["delta_nll"], "s/0": 1.0}
    case = replace(case, sample_metrics={**case.sample_metrics, "delta_nll": deltas})
    browser = show(build(run, [base, case]), [base, case])
    headers = "Array.from(document.querySelectorAll('.cases thead th'), (each) => each.textContent)"

    def counts():
        names = browser.js(headers)
        found = [
            at for at, name in enumerate(names, 1) if name in {"worse", "better", "fell", "rose"}
        ]
        return {names[at - 1]: column(browser, at)[-1] for at in found}

    assert counts() == {"fell": "0", "rose": "1"}
    browser.js(
        "(() => { const s = document.querySelector('[data-part=metric] select');"
        "s.value = 'nll_agentic'; s.dispatchEvent(new Event('change', { bubbles: true })); })()"
    )
    assert counts() == {"worse": "40", "better": "0"}
