from __future__ import annotations

import math

import pytest
from pydantic import ValidationError

from harness.report.build import build
from harness.report.report import RunReport
from harness.statistics.estimates import Metric
from tests.report.small_run import sweep


def test_json_names_the_version_schema(report):
    document = report.model_dump(mode="json")
    assert document["schema"] == 1
    assert list(document) == [
        "schema",
        "run",
        "cases",
        "invariants",
        "gates",
        "unjudged",
        "doses",
        "windows",
        "potencies",
        "stopping",
        "help",
        "predictors",
    ]


def test_json_round_trip(report):
    assert RunReport.model_validate_json(report.model_dump_json()) == report


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_numbers_are_finite(value):
    with pytest.raises(ValidationError, match="finite"):
        Metric(value=value, ci_low=0.0, ci_high=1.0, n=3, method="wilson")


def test_frame_has_a_row_per_case_and_paths_as_columns(report):
    frame = report.frame()
    assert list(frame["id"]) == [case.id for case in report.cases]
    row = frame.iloc[2]
    case = report.cases[2]
    assert row["params.prompt.style"] == "agentic"
    assert row["task.size"] == 12
    assert row["metrics.pass@1.value"] == case.metrics["pass@1"].value
    assert row["versus_baseline.pass@1.worse"] == 2
    assert row["agreement.identical"] == case.agreement.identical
    assert row["counts.changed"] == 10


def test_whole_numbers_stay_whole_beside_missing_ones(report):
    assert "164" not in report.frame().to_csv()
    assert str(report.frame()["versus_baseline.pass@1.worse"].dtype) == "Int64"
    assert str(report.frame()["params.intervention.count"].dtype) == "Int64"


def test_columns_do_not_depend_on_the_order_of_experiments_kinds(run):
    names = list(build(run, sweep()).frame().columns)
    assert names == list(build(run, sweep(name="b")).frame().columns)
    groups = [name.partition(".")[0] for name in names]
    assert groups.index("params") > groups.index("error")
    assert groups.index("versus_baseline") > groups.index("metrics")


def test_an_empty_report_has_the_fixed_columns(run):
    frame = RunReport(run=run).frame()
    assert len(frame) == 0
    assert frame.columns[0] == "id"
