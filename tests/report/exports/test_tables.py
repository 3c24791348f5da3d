"""Frames, CSV and Parquet hold the same values, also those that are awkward."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

import harness
from harness import registry
from harness.errors import ReportError
from harness.report.build import build
from harness.report.exports import export, tables
from harness.report.loaded import load_report
from harness.report.write import write


@pytest.fixture
def loaded(run, results, directory):
    awkward = replace(results[0].draws[0].completion, text='a,"b"\n\u2028 \\ {x} é')
    draws = (replace(results[0].draws[0], completion=awkward), *results[0].draws[1:])
    results[0] = replace(results[0], draws=draws)
    write(build(run, results), results, directory)
    return load_report(directory)


def test_a_loaded_report_is_two_frames_and_the_whole(loaded, directory):
    assert harness.load_report(directory).report == loaded.report
    assert harness.load_report(directory / "report.json").samples.equals(loaded.samples)
    assert list(loaded.cases["id"]) == [case.id for case in loaded.report.cases]
    assert set(loaded.samples["case"]) == set(loaded.cases["id"])
    assert list(loaded.invariants.columns) == ["name", "case", "holds"]


@pytest.mark.parametrize(("form", "read"), [("csv", pd.read_csv), ("parquet", pd.read_parquet)])
def test_tables_come_back_as_they_were(loaded, tmp_path, form, read):
    files = export(loaded, form, tmp_path / "out")
    assert [file.name for file in files] == [f"cases.{form}", f"samples.{form}"]
    cases, samples = (read(file) for file in files)
    assert list(cases.columns) == list(loaded.cases.columns)
    assert list(samples["completion"]) == list(loaded.samples["completion"])
    assert list(samples["correct"]) == list(loaded.samples["correct"])
    assert list(cases["metrics.pass@1.value"]) == list(loaded.cases["metrics.pass@1.value"])
    assert list(cases["dose"].dropna()) == list(loaded.cases["dose"].dropna())


def test_samples_in_parts_are_the_same_table(loaded, tmp_path, monkeypatch):
    whole = pd.read_parquet(export(loaded, "parquet", tmp_path / "whole")[1])
    monkeypatch.setattr(tables, "_ROWS", 3)
    parts = pd.read_parquet(export(loaded, "parquet", tmp_path / "parts")[1])
    pd.testing.assert_frame_equal(parts, whole)
    assert len(parts) == len(loaded.samples)


def test_a_column_of_mixed_types_is_text_in_parquet():
    frame = pd.DataFrame({"mixed": ["a", 1, None], "same": [1, 2, 3]})
    uniform = tables._uniform(frame)
    assert list(uniform["mixed"])[:2] == ['"a"', "1"]
    assert list(uniform["same"]) == [1, 2, 3]


@pytest.mark.parametrize(
    ("form", "library", "extra"),
    [("parquet", "pyarrow", "parquet"), ("inspect", "inspect_ai", "inspect")],
)
def test_a_missing_library_is_named_with_its_command(
    loaded, tmp_path, monkeypatch, form, library, extra
):
    from harness.report.exports import inspect_logs

    for module in (tables, inspect_logs):
        monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(ReportError, match=rf"pip install 'pytest-titrate\[{extra}\]'"):
        export(loaded, form, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_unknown_format_names_those_that_are(loaded, tmp_path):
    with pytest.raises(ReportError, match="'xlsx' is not a format of reports; use one of csv"):
        export(loaded, "xlsx", tmp_path)


# Comparisons are what this report has none of; `test_diffing.py` has one that cannot be written.
@pytest.mark.parametrize("form", sorted(set(registry.exports.names()) - {"diffing"}))
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_an_output_that_cannot_be_written_is_one_line(loaded, tmp_path, form):
    (tmp_path / "file").write_text("")
    with pytest.raises(ReportError, match=r"cannot be written: .*; choose another output"):
        export(loaded, form, tmp_path / "file" / "out")


def test_missing_samples_are_named(loaded, directory, tmp_path):
    (directory / "samples.jsonl").unlink()
    with pytest.raises(ReportError, match=r"samples\.jsonl: no such file"):
        export(loaded, "csv", tmp_path / "out")
