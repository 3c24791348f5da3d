"""Numbers as the page writes them, which is how a terminal does."""

from __future__ import annotations

import random

import pytest

from harness.report.rounding import ceiling, percent, readable
from harness.report.tables.case_columns import interval
from harness.statistics.estimates import Metric


def test_the_page_rounds_as_the_terminal_does(show, report, results):
    browser = show(report, results)
    draw = random.Random(0)
    values = [eighths / 8 for eighths in range(-8, 80)] + [draw.uniform(-9, 9) for _ in range(200)]
    values += [draw.uniform(-9999, 9999) for _ in range(100)]
    for value, shown in zip(values, browser.js(f"{values}.map(decimal)"), strict=True):
        assert shown == readable(value).replace("-", "\N{MINUS SIGN}")
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
