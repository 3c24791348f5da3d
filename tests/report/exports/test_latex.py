"""LaTeX tables: what is in them, and that nothing in a report can break them."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.report.build import build
from harness.report.exports.latex import _mark, escaped, tables
from harness.statistics.estimates import Versus


@given(st.text())
def test_escaped_text_holds_no_active_character(text):
    bare = re.sub(r"\\text[a-z]+\{\}|\\[&%$#_{}]", "", escaped(text))
    assert not set(bare) & set("\\&%$#_{}~^<>|\n")


def test_a_table_has_a_row_per_case_and_columns_that_match(report):
    text = tables(report)
    assert text.startswith(
        "% pytest benches -k keep_topk (2026-01-01). Needs \\usepackage{booktabs}."
    )
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert len(rows) == 1 + len(report.cases)
    assert {line.count(" & ") for line in rows} == {9}
    assert r"\begin{tabular}{llrrrrrrrr}" in text
    assert r"\label{tab:keep-topk}" in text
    assert sum("baseline" in row for row in rows) == 2
    for rule in ("toprule", "midrule", "bottomrule"):
        assert text.count(f"\\{rule}") == 1


def test_a_row_has_the_differences_interval_changes_and_minimal_effect(report):
    case = next(case for case in report.cases if case.versus_baseline)
    versus = case.versus_baseline[case.metric].model_copy(
        update={
            "delta": -0.25,
            "ci_low": -0.5,
            "ci_high": 0.01,
            "better": 3,
            "worse": 7,
            "minimal_effect": 0.123,
        }
    )
    one = case.model_copy(update={"versus_baseline": {case.metric: versus}})
    text = tables(report.model_copy(update={"cases": (one,)}))
    assert re.search(
        r" & \$-0\.25\$ \[\$-0\.50\$, \$\+0\.01\$\].* & 3/7 & .* & .* & 0\.13 & ", text
    )
    unknown = versus.model_copy(
        update={"ci_low": None, "ci_high": None, "minimal_effect": None, "p": 1.0, "p_holm": 1.0}
    )
    other = case.model_copy(update={"versus_baseline": {case.metric: unknown}})
    text = tables(report.model_copy(update={"cases": (other,)}))
    assert " & $-0.25$ & 3/7 & 1.000 & 1.000 & none & " in text


def test_marks_are_explained_where_they_are(report):
    text = tables(report)
    assert (
        "$p$: exact McNemar test; $p$ Holm is the same, corrected by Holm's method for the number "
        "of cases, and decides: * $p < 0.05$"
    ) in text
    older = [
        case.model_copy(
            update={
                "versus_baseline": {
                    name: versus.model_copy(update={"p_holm": None, "p": 0.01})
                    for name, versus in case.versus_baseline.items()
                }
            }
        )
        for case in report.cases
    ]
    text = tables(report.model_copy(update={"cases": tuple(older)}))
    assert r"\textsuperscript{*" in text
    assert "exact McNemar test; it is not corrected for the number of cases" in text


@pytest.mark.parametrize(
    ("p", "mark"), [(0.0009, "***"), (0.001, "**"), (0.049, "*"), (0.05, None)]
)
def test_marks_stand_for_p(p, mark):
    versus = Versus(
        delta=0.1, ci_low=0, ci_high=0.2, p=p, test="sign_flip", better=1, worse=0, unchanged=0
    )
    assert _mark(versus) == (f"\\textsuperscript{{{mark}}}" if mark else "")


def test_a_case_without_a_result_says_so(run, results):
    results[-1] = replace(results[-1], status="failed", error="boom_1", draws=(), sample_metrics={})
    text = tables(build(run, results))
    assert "1 of 10 cases have no result." in text
    assert "& failed & -- & -- & -- & -- & -- & --" in text
