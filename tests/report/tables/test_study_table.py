"""The study's summary table, from reports of sweeps made by hand."""

from __future__ import annotations

import io
import json

import pandas as pd

from harness.report.build import build
from harness.report.tables.study_table import COLUMNS, paired_summaries, summary_files
from tests.report.small_run import cases_of, first, result_of, sweep


def test_a_sweep_over_both_styles_has_a_row_for_every_count(run):
    ((name, table),) = paired_summaries(build(run, sweep((0, 1, 2), n=12)))
    assert name == "keep_topk"
    assert tuple(table.columns) == COLUMNS
    assert table.to_numpy().tolist() == [[0, 11, 1, 11, 1], [1, 9, 3, 9, 3], [2, 7, 5, 7, 5]]


def test_pass_and_fail_are_all_samples_and_the_row_of_0_is_the_baseline(run):
    report = build(run, sweep(n=12))
    ((_, table),) = paired_summaries(report)
    for style in ("agentic", "assisted"):
        assert (table[f"{style}_pass"] + table[f"{style}_fail"] == 12).all()
        baseline = next(
            case for case in report.cases if case.id == f"keep_topk[baseline-style={style}]"
        )
        assert table[f"{style}_pass"][0] == round(12 * baseline.metrics["pass@1"].value)


def test_a_sweep_over_one_style_has_no_table(run):
    assert not list(paired_summaries(build(run, sweep(styles=("agentic",)))))


def test_a_count_that_one_style_lacks_is_left_out(run):
    lacking = {"prompt.style": "assisted", "intervention.count": 1}
    results = [each for each in sweep((0, 1), n=12) if each.case.params != lacking]
    ((_, table),) = paired_summaries(build(run, results))
    assert table["top_n"].tolist() == [0]


def test_other_axes_have_tables_of_their_own(run):
    axes = {"prompt.style": ["agentic", "assisted"], "intervention.count": [1], "seed": [0, 1]}
    results = [result_of(case, first(3, 4)) for case in cases_of(axes=axes)]
    names = [name for name, _ in paired_summaries(build(run, results))]
    assert names == ["keep_topk seed=0", "keep_topk seed=1"]


def test_several_draws_have_no_table_of_passes(run):
    axes = {"prompt.style": ["agentic", "assisted"], "intervention.count": [1]}
    sampling = {"draws": 4, "temperature": 1.0}
    results = [result_of(case, first(3, 4)) for case in cases_of(axes=axes, sampling=sampling)]
    assert not list(paired_summaries(build(run, results)))


def test_files_are_the_same_table_twice(run):
    files = dict(summary_files(build(run, sweep((0, 1), n=12))))
    assert list(files) == ["paired/keep_topk.csv", "paired/keep_topk.json"]
    table = pd.read_csv(io.StringIO(files["paired/keep_topk.csv"]))
    assert table.to_dict("records") == json.loads(files["paired/keep_topk.json"])
