"""Samples that are written by two processes, and before their report is known."""

from __future__ import annotations

import pytest

from harness.errors import ReportError
from harness.report.build import build
from harness.report.write import write
from harness.report.written_samples import WrittenSamples
from tests.report.small_run import sweep


@pytest.mark.parametrize("forked", [True, False])
def test_what_is_begun_before_the_report_is_the_same(run, tmp_path, forked):
    results = sweep(doses=tuple(range(40)), n=3)
    write(build(run, results), results, tmp_path / "whole")
    with WrittenSamples(results, tmp_path / "begun", forked=forked) as begun:
        report = build(run, results)
        write(report, results, tmp_path / "begun", begun=begun, forked=forked)
    for path in (path for path in (tmp_path / "whole").rglob("*") if path.is_file()):
        other = tmp_path / "begun" / path.relative_to(tmp_path / "whole")
        assert other.read_bytes() == path.read_bytes(), path


@pytest.mark.parametrize("forked", [True, False])
def test_of_what_is_begun_and_interrupted_nothing_is_left(results, tmp_path, forked):
    folder = tmp_path / "reports" / "begun"
    with pytest.raises(KeyError), WrittenSamples(results, folder, forked=forked):
        raise KeyError
    assert not folder.exists()


def test_a_folder_that_cannot_be_made_is_one_line(results, tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(ReportError, match=r"cannot be written: .*; choose another directory"),
        WrittenSamples(results, tmp_path / "file" / "report", forked=True),
    ):
        raise AssertionError
