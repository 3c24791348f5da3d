from __future__ import annotations

import csv
import json
import os
import sys
from dataclasses import replace

import pytest

from harness.errors import ReportError
from harness.report.build import build
from harness.report.load import load_report, samples
from harness.report.write import check_writable, write, write_page
from harness.store.records import read_records, record_line


def test_written_reports_load_as_they_were(report, results, directory):
    path = write(report, results, directory)
    assert path == directory / "report.json"
    assert load_report(directory) == report
    assert load_report(path) == report


def test_a_directory_holds_these_files_and_no_leftovers(report, results, directory):
    write(report, results, directory)
    write(report, results, directory)
    found = sorted(str(p.relative_to(directory)) for p in directory.rglob("*") if p.is_file())
    assert found == [
        "cases.csv",
        "index.html",
        "paired/keep_topk.csv",
        "paired/keep_topk.json",
        "plots/keep_topk.png",
        "records.jsonl",
        "report.json",
        "samples.jsonl",
    ]
    assert (directory / "plots" / "keep_topk.png").read_bytes().startswith(b"\x89PNG")


def test_copies_of_the_process_write_the_same_bytes(report, results, directory, tmp_path):
    write(report, results, directory)
    write(report, results, tmp_path / "beside", forked=True)
    for path in (path for path in directory.rglob("*") if path.is_file()):
        assert (tmp_path / "beside" / path.relative_to(directory)).read_bytes() == path.read_bytes()


def test_a_disk_that_is_full_for_a_copy_is_an_error(report, results, directory, monkeypatch):
    own = os.getpid()

    def full(result):
        if os.getpid() != own:
            raise OSError(28, "No space left on device")
        return record_line(result)

    monkeypatch.setattr("harness.report.written_samples.record_line", full)
    with pytest.raises(ReportError, match="No space left on device"):
        write(report, results, directory, forked=True)
    assert [path.name for path in directory.iterdir()] == ["plots"]


def test_cases_csv_has_a_row_per_case(report, results, directory):
    write(report, results, directory)
    with (directory / "cases.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == [case.id for case in report.cases]
    assert rows[2]["versus_baseline.pass@1.worse"] == "2"


def test_samples_jsonl_has_a_line_per_case_sample_and_draw(report, results, directory):
    write(report, results, directory)
    text = (directory / "samples.jsonl").read_text("utf-8")
    lines = [json.loads(line) for line in text.split("\n") if line]
    assert len(lines) == sum(len(result.draws) for result in results)
    assert lines[12] == {
        "case": "keep_topk[style=agentic-count=0]",
        "sample": "s/0",
        "draw": 0,
        "prompt": "prompt of s/0\u2028\nü",
        "completion": "text",
        "tokens": 4,
        "finish_reason": "stop",
        "error": None,
        "correct": True,
        "parsed": True,
        "tool_call": False,
        "detail": "",
        "agreement": 4,
        "metrics": {"pass@1": 1.0},
    }
    assert samples(directory).to_dict("records")[12]["prompt"] == "prompt of s/0\u2028\nü"


def test_a_lone_surrogate_does_not_lose_the_report(run, results, directory):
    draw = results[0].draws[0]
    odd = replace(draw, completion=replace(draw.completion, text="\ud800"))
    results[0] = replace(results[0], draws=(odd, *results[0].draws[1:]))
    write(build(run, results), results, directory)
    assert samples(directory)["completion"][0] == "?"


def test_a_file_in_the_way_is_one_line(report, results, tmp_path):
    path = tmp_path / "taken"
    path.write_text("mine")
    with pytest.raises(ReportError, match="taken: cannot be written") as caught:
        write(report, results, path)
    assert "\n" not in str(caught.value)
    assert path.read_text() == "mine"


def test_a_directory_that_cannot_be_made_is_an_error(report, results, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ReportError, match="choose another directory"):
        write(report, results, tmp_path / "file" / "report")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_directory_without_permission_is_an_error(report, results, tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(ReportError, match="Permission denied"):
        write(report, results, tmp_path / "report")


def test_what_does_not_fit_the_schema_leaves_no_trace(report, results, directory):
    case = report.cases[1].model_copy(update={"status": "fine"})
    broken = report.model_copy(update={"cases": (case,)})
    with pytest.raises(ReportError, match="status: 'fine'"):
        write(broken, results, directory)
    assert not directory.exists()


def test_nan_in_a_parameter_is_refused(report, results, directory):
    case = report.cases[1].model_copy(update={"params": {"x": float("nan")}})
    with pytest.raises(ReportError, match="NaN"):
        write(report.model_copy(update={"cases": (case,)}), results, directory)
    assert not directory.exists()


def test_an_interrupted_write_leaves_the_old_report_whole(report, results, directory, monkeypatch):
    write(report, results, directory)
    before = (directory / "report.json").read_bytes()

    def interrupted(*_):
        raise KeyboardInterrupt

    # The package exports the function under the module's name, which hides the module.
    monkeypatch.setattr(sys.modules["harness.report.write"], "page", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write(report.model_copy(update={"cases": ()}), [], directory)
    assert (directory / "report.json").read_bytes() == before
    assert load_report(directory) == report
    assert not list(directory.rglob("*.part"))


def test_a_full_disk_leaves_no_part_behind(report, results, directory, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ReportError, match="No space left on device"):
        write(report, results, directory)
    assert not [path for path in directory.rglob("*") if path.is_file()]


def test_the_page_can_be_written_anew_from_what_is_on_disk(report, results, directory):
    path = write(report, results, directory)
    page = (directory / "index.html").read_bytes()
    for place in (directory, path):
        (directory / "index.html").unlink()
        assert write_page(place) == directory / "index.html"
        assert (directory / "index.html").read_bytes() == page


def test_a_page_needs_its_report_and_its_samples(report, results, directory):
    with pytest.raises(ReportError, match=r"no such file"):
        write_page(directory)
    write(report, results, directory)
    (directory / "samples.jsonl").write_text('{"case": "x", "sample": "s/0", "prompt": ""}\n')
    with pytest.raises(ReportError, match=r"samples\.jsonl:1: completion: expected text"):
        write_page(directory)
    (directory / "samples.jsonl").unlink()
    with pytest.raises(ReportError, match=r"samples\.jsonl: no such file"):
        write_page(directory)


def test_a_report_s_records_are_its_results(report, results, directory):
    write(report, results, directory)
    assert list(read_records(directory / "records.jsonl")) == results


def test_only_a_report_may_be_replaced(report, results, directory):
    assert check_writable(directory) is False
    write(report, results, directory)
    assert check_writable(directory) is True
    (directory / "notes.md").write_text("")
    assert check_writable(directory) is True
    (directory / "report.json").unlink()
    with pytest.raises(
        ReportError, match=r"is not a report: it holds notes\.md; choose a new or an "
    ):
        check_writable(directory)
    (directory / "notes.md").unlink()
    assert check_writable(directory) is False  # what an interrupted write has left


def test_an_empty_folder_may_become_a_report(directory):
    directory.mkdir()
    (directory / ".DS_Store").write_text("")
    assert check_writable(directory) is False
