from __future__ import annotations

import json

import pytest

from harness.errors import ReportError
from harness.report.load import load_report, samples
from harness.report.write import write


def refused(path, match):
    with pytest.raises(ReportError, match=match) as caught:
        load_report(path)
    assert "\n" not in str(caught.value)


def test_a_missing_report_is_named(tmp_path):
    refused(tmp_path, r"report\.json: no such file")
    refused(tmp_path / "other.json", r"other\.json: no such file")


@pytest.mark.parametrize("text", ["", "{", '{"schema": 1'])
def test_a_torn_file_is_named(tmp_path, text):
    (tmp_path / "report.json").write_text(text)
    refused(tmp_path, r"report\.json: not JSON")


def test_bytes_that_are_no_text_are_named(tmp_path):
    (tmp_path / "report.json").write_bytes(b"\xff\xfe")
    refused(tmp_path, "cannot be read")


def test_another_schema_is_named(tmp_path):
    (tmp_path / "report.json").write_text('{"schema": 7}')
    refused(tmp_path, r"report\.json: schema 7 cannot be read; this version reads 1")


def test_a_number_that_is_not_one_is_refused(report, results, directory):
    path = write(report, results, directory)
    path.write_text(path.read_text("utf-8").replace('"dose": 1.0', '"dose": NaN'), "utf-8")
    refused(directory, "NaN")


def test_a_date_that_the_schema_cannot_check_is_refused(report, results, directory):
    path = write(report, results, directory)
    document = json.loads(path.read_text("utf-8"))
    document["run"]["started"] = "yesterday"
    path.write_text(json.dumps(document), "utf-8")
    refused(directory, r"run\.started: ")


def test_samples_are_a_frame_with_ids_as_text(report, results, directory):
    write(report, results, directory)
    frame = samples(directory)
    assert len(frame) == 12 * len(report.cases)
    assert frame["sample"][0] == "s/0"
    assert frame.equals(samples(directory / "samples.jsonl"))


def test_a_broken_line_of_samples_is_named(report, results, directory):
    write(report, results, directory)
    with (directory / "samples.jsonl").open("a", encoding="utf-8") as file:
        file.write("{broken\n")
    with pytest.raises(ReportError, match=r"samples\.jsonl:121: not JSON"):
        samples(directory)
