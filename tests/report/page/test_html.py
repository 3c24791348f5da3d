from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from importlib.resources import files

import pytest

from harness.report.page import embed, page
from harness.report.page.html import _SCRIPTS
from harness.report.tables.case_columns import interval
from harness.report.written_samples import records
from tests.report.small_run import METRIC, sweep

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"


@pytest.fixture
def results():
    """With doses enough that the last one's difference survives the correction."""
    return sweep(doses=(0, 1, 2, 4, 8, 16))


@pytest.fixture
def html(report, results):
    return "".join(page(report, embed(report.cases, records(results))))


def test_the_policy_allows_this_script_and_this_style_and_nothing_else(html):
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', html)[1]
    for tag, rule in (("script", "script-src"), ("style", "style-src")):
        text = re.search(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)[1]
        digest = b64encode(sha256(text.encode()).digest()).decode()
        assert f"{rule} 'sha256-{digest}';" in policy
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy


def test_it_refers_to_nothing_outside(html):
    links = re.findall(r"""(?:src|href)=["']?([^"'> ]+)""", html)
    assert {link[:1] for link in links} <= {"#", "d"}
    assert [link for link in links if link.startswith("d")] == ["data:,"]


def test_the_same_report_is_the_same_page(report, results, html):
    assert "".join(page(report, embed(report.cases, records(results)))) == html


def test_findings_of_a_metric_without_a_direction_say_what_fell_and_rose(report, results, html):
    def renamed(values):
        return {"length" if name == METRIC else name: each for name, each in values.items()}

    cases = tuple(
        case.model_copy(
            update={
                "metric": "length",
                "settings": case.settings | {"metrics": ["length"]},
                "metrics": renamed(case.metrics),
                "versus_baseline": renamed(case.versus_baseline),
            }
        )
        for case in report.cases
    )
    samples = embed(report.cases, records(results))
    undirected = "".join(page(report.model_copy(update={"cases": cases}), samples))
    said = [re.findall(r'title="samples">(\w+)</th>', each) for each in (html, undirected)]
    assert said == [["worse", "better"], ["fell", "rose"]]


def test_markup_in_names_and_messages_stays_text(report, results):
    case = report.cases[1].model_copy(update={"error": HOSTILE, "id": HOSTILE})
    run = report.run.model_copy(update={"command": HOSTILE})
    hostile = report.model_copy(update={"cases": (report.cases[0], case), "run": run})
    samples = embed(report.cases, records(results))
    html = "".join(page(hostile, samples))
    assert html.count("<script") == "".join(page(report, samples)).count("<script")
    assert "<img" not in html


def test_every_script_of_the_package_is_in_the_page(html):
    folder = files("harness.report.page") / "assets"
    assert {entry.name for entry in folder.iterdir() if entry.name.endswith(".js")} == {*_SCRIPTS}


def test_a_report_without_cases_is_a_page_too(report):
    html = "".join(page(report.model_copy(update={"cases": ()}), embed((), [])))
    assert "This report has no cases." in html


def test_the_findings_can_be_read_without_scripts(report, html):
    (table,) = re.findall(r'<table class="findings">.*?</table>', html, re.DOTALL)
    assert table.count("<strong>count = 16</strong>") == 2
    assert table.count(interval(report.cases[0].metrics[METRIC])) == 2
    assert table.count(interval(report.cases[6].metrics[METRIC])) == 2
